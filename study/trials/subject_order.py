"""The course that trials run: what is held out, in its order, what a trial has predicted of it, where it stops."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from study.data.clips import ClipNames
from study.training.protocol import parts
from study.trials import race

Counts = npt.NDArray[np.int64]
Predictions = Mapping[tuple[int, str], str]  # (seed, what is held out) -> the fold's rows, as FoldResult has them


@dataclass(frozen=True, eq=False)
class Opponent:
    """Whom a trial races: the best complete trial that its proposal knew of, and when the race is lost.

    counts: confusions int64 [N parts in their order, K true, K predicted], summed over seeds.
    p: the one-sided p below which the trial stops; first: the fewest parts to judge by.
    """

    trial: int
    uf1: float
    counts: Counts
    p: float
    first: int


@dataclass(frozen=True)
class LostRace:
    """Where a trial lost its race: after how many parts, and the UF1 that is imputed to it."""

    parts: int
    imputed: float


@dataclass(frozen=True)
class Course:
    """The parts that a protocol holds out, under LOSO the subjects, in the order of every trial; and the classes."""

    parts: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, clips: ClipNames, protocol: str, first: int | None = None) -> "Course":
        """All parts, or the first so many."""
        return cls(tuple(parts(clips, protocol)), clips.classes).of_first(first)

    def of_first(self, many: int | None) -> "Course":
        """The first so many parts: those by which a search chooses; None: all."""
        return Course(self.parts[:many], self.classes)

    def blocks(self, opponent: Opponent | None) -> list[range]:
        """Positions of the parts between two judgements: 4, 4, 8, 16, ... in a race, else all at once."""
        if opponent is None:
            return [range(len(self.parts))]
        ends = [0, *accumulate(race.block_sizes(len(self.parts)))]
        return [range(start, end) for start, end in pairwise(ends)]

    def decided(self, opponent: Opponent, seeds: Sequence[int], found: Collection[tuple[int, str]]) -> int:
        """Parts of the whole blocks that all seeds have predicted: what a race can be judged by."""
        there = [all((seed, part) in found for seed in seeds) for part in self.parts]
        return sum(len(block) for block in self.blocks(opponent) if all(there[: block.stop]))

    def stop(self, opponent: Opponent, seeds: Sequence[int], found: Predictions) -> LostRace | None:
        """Where a trial loses against its opponent, looking after every part of its whole blocks; None if nowhere.

        A trial that is only hopeless with all parts known is complete.
        """
        mine = self.counts(seeds, found, self.decided(opponent, seeds, found))
        kept = race.hopeless(mine, opponent.counts, opponent.p, opponent.first)
        return None if kept is None else LostRace(kept, race.imputed(opponent.uf1, mine[:kept], opponent.counts))

    def counts(self, seeds: Sequence[int], found: Predictions, most: int) -> Counts:
        """Confusions of the first parts, int64 [most, K true, K predicted], summed over seeds."""
        position = {name: i for i, name in enumerate(self.classes)}
        counts = np.zeros((most, len(self.classes), len(self.classes)), np.int64)
        for i, part in enumerate(self.parts[:most]):
            for seed in seeds:
                for _, true, predicted, _ in json.loads(found[seed, part]):
                    counts[i, position[true], position[predicted]] += 1
        return counts
