"""The course that trials run: the subjects in their order, what a trial has predicted of them, and where it stops."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from study.data.clips import ClipNames
from study.training.protocol import shuffled
from study.trials import race

Counts = npt.NDArray[np.int64]
Predictions = Mapping[tuple[int, str], str]  # (seed, subject) -> the fold's rows, as FoldResult has them


@dataclass(frozen=True, eq=False)
class Opponent:
    """Whom a trial races: the best complete trial that its proposal knew of, and when the race is lost.

    counts: confusions int64 [N subjects in their order, K true, K predicted], summed over seeds.
    p: the one-sided p below which the trial stops; first: the fewest subjects to judge by.
    """

    trial: int
    uf1: float
    counts: Counts
    p: float
    first: int


@dataclass(frozen=True)
class LostRace:
    """Where a trial lost its race: after how many subjects, and the UF1 that is imputed to it."""

    subjects: int
    imputed: float


@dataclass(frozen=True)
class Course:
    """The subjects in the order in which every trial takes them, and the classes."""

    subjects: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, clips: ClipNames, first: int | None = None) -> "Course":
        """All subjects, or the first so many."""
        return cls(tuple(shuffled(clips.subjects.tolist(), clips.digests["index"])), clips.classes).of_first(first)

    def of_first(self, many: int | None) -> "Course":
        """The first so many subjects: those by which a search chooses; None: all."""
        return Course(self.subjects[:many], self.classes)

    def blocks(self, opponent: Opponent | None) -> list[range]:
        """Positions of the subjects between two judgements: 4, 4, 8, 16, ... in a race, else all at once."""
        if opponent is None:
            return [range(len(self.subjects))]
        ends = [0, *accumulate(race.block_sizes(len(self.subjects)))]
        return [range(start, end) for start, end in pairwise(ends)]

    def decided(self, opponent: Opponent, seeds: Sequence[int], found: Collection[tuple[int, str]]) -> int:
        """Subjects of the whole blocks that all seeds have predicted: what a race can be judged by."""
        there = [all((seed, subject) in found for seed in seeds) for subject in self.subjects]
        return sum(len(block) for block in self.blocks(opponent) if all(there[: block.stop]))

    def stop(self, opponent: Opponent, seeds: Sequence[int], found: Predictions) -> LostRace | None:
        """Where a trial loses against its opponent, looking after every subject of its whole blocks; None if nowhere.

        A trial that is only hopeless with all subjects known is complete.
        """
        mine = self.counts(seeds, found, self.decided(opponent, seeds, found))
        kept = race.hopeless(mine, opponent.counts, opponent.p, opponent.first)
        return None if kept is None else LostRace(kept, race.imputed(opponent.uf1, mine[:kept], opponent.counts))

    def counts(self, seeds: Sequence[int], found: Predictions, most: int) -> Counts:
        """Confusions of the first subjects, int64 [most, K true, K predicted], summed over seeds."""
        position = {name: i for i, name in enumerate(self.classes)}
        counts = np.zeros((most, len(self.classes), len(self.classes)), np.int64)
        for i, subject in enumerate(self.subjects[:most]):
            for seed in seeds:
                for _, true, predicted, _ in json.loads(found[seed, subject]):
                    counts[i, position[true], position[predicted]] += 1
        return counts
