"""What a study claims after a search when there is nothing to find: search, confirm and ablate on simulated subjects.

`python -m benchmarks.claims 2000` prints the table of docs/report.md: K equal configurations, judged by a share of the
subjects or by all of them, raced or not; then how often a truly best one is found.
tests/analysis/questions/test_claims.py holds the bounds.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean

import numpy as np

from analysis.stats.bbc import bbc, moved
from analysis.stats.inference import Comparison, Swaps, compare, swaps
from analysis.stats.metrics import uf1
from benchmarks import copula_tables, score_tables
from benchmarks.score_tables import SKILL, Counts
from search_spaces.spec import Race
from study.planning.choosing_subjects import SHARE
from study.trials.race import hopeless

SIZES, TRIED, SEED = (20, 26, 68), (12, 60), 2026
SEEDS = 5  # of confirm and ablate
BEST, STEPS = 3, 4  # variants of confirm, and of the ablation around the winner
SWAPS = 999
EFFECT = 0.47  # of skill: .08 UF1
GENERATORS = {"utilities": score_tables, "copula": copula_tables}


@dataclass(frozen=True)
class Claims:
    """What one simulated study says.

    difference: of the first row of confirm, and covered: whether its interval holds 0; None where only the baseline was
    complete. corrected: the search's difference after its correction; None where it has chosen the baseline. found: the
    truly best, where there is one, is called better in confirm; tested: by the test of all candidates on search seeds,
    by which anything is `called`.
    """

    better: bool
    worse: bool
    difference: float | None
    covered: bool
    corrected: float | None
    corrected_covered: bool
    found: bool
    tested: bool
    called: bool


def study(
    key: Sequence[int], tried: int, size: int, raced: bool, share: bool, kind: str = "utilities", effect: float = 0.0
) -> Claims:
    """Search `tried` configurations, confirm the best on fresh seeds, ablate around the winner.

    effect: more skill of one configuration that is not the baseline.
    """
    generator, made = np.random.default_rng(list(key)), GENERATORS[kind]
    people = made.subjects(size, generator)
    skills = np.full(tried, SKILL)
    skills[1] += effect
    every = made.Tried.on(people, generator, skills)
    judges = np.zeros(size, bool)
    judges[: ceil(SHARE * size) if share else size] = True
    testers = ~judges if share else judges
    search = every.runs(generator, 1)[:, judges]
    complete = survivors(search) if raced else list(range(tried))
    best = [i for i in _ranked(search, complete) if i != 0][:BEST]
    corrected = _corrected(search[complete], complete)
    by_search = _against(search[complete], missing=tried - len(complete)) if len(complete) > 1 else {}
    confirm = every.runs(generator, SEEDS, [0, *best])
    seen = _against(confirm[:, testers])
    first = seen.get("1")
    winner = [0, *best][_ranked(confirm[:, judges], range(1 + len(best)))[0]]
    others = [int(i) for i in generator.permutation([i for i in range(tried) if i != winner])[:STEPS]]
    ablate = _against(every.runs(generator, SEEDS, [winner, *others])[:, testers])
    return Claims(
        better=any(c.verdict == "better" for c in seen.values()),
        worse=any(c.verdict == "worse" for c in ablate.values()),
        difference=None if first is None else first.difference,
        covered=first is None or first.low <= 0 <= first.high,
        corrected=None if corrected is None else corrected[0],
        corrected_covered=corrected is None or corrected[1] <= 0 <= corrected[2],
        found=any(seen[str(i + 1)].verdict == "better" for i, own in enumerate(best) if own == 1),
        tested=bool(effect) and 1 in complete and by_search[str(complete.index(1))].verdict == "better",
        called=any(c.verdict == "better" for c in by_search.values()),
    )


def survivors(counts: Counts) -> list[int]:
    """Those of [M, N, S, 3, 3] that the race did not stop against the best complete one before."""
    summed, kept = counts.sum(2), [0]
    for m in range(1, len(counts)):
        opponent = max(kept, key=lambda k: uf1(summed[k].sum(0)))
        if hopeless(summed[m], summed[opponent], Race().p, Race().first) is None:
            kept.append(m)
    return kept


def _ranked(counts: Counts, among: Sequence[int]) -> list[int]:
    scores = np.round(uf1(counts.sum(1)).mean(-1), 12)
    return sorted(among, key=lambda i: (-scores[i], i))


def _against(counts: Counts, missing: int = 0) -> dict[str, Comparison]:
    """All others against the first. missing: so many more were tried, and pruned."""
    arms = {str(i): counts[i] for i in range(1, len(counts))}
    return compare(counts[0], arms, arms.keys(), few(counts.shape[1]), missing)


def few(subjects: int) -> Swaps:
    """Fewer swaps than a study has: thousands of them are simulated."""
    return swaps(subjects, SWAPS)


def _corrected(candidates: Counts, places: Sequence[int]) -> tuple[float, float, float] | None:
    """The corrected difference of the best to the baseline, which is the first candidate, with its interval."""
    if len(places) < 2:
        return None
    found = bbc(candidates, 0)
    if found.best == 0:
        return None
    seen = compare(candidates[0], {"best": candidates[found.best]}, [], few(candidates.shape[1]))["best"]
    return (found.difference, *moved(found.difference, seen))


@dataclass(frozen=True)
class Cell:
    """Means over the studies of a cell; of differences over those that have one."""

    better: float
    worse: float
    bias: float
    coverage: float
    corrected: float
    corrected_coverage: float
    found: float
    tested: float
    called: float

    @classmethod
    def of(cls, studies: Sequence[Claims]) -> "Cell":
        first = [one for one in studies if one.difference is not None]
        chosen = [one for one in studies if one.corrected is not None]
        return cls(
            better=fmean(one.better for one in studies),
            worse=fmean(one.worse for one in studies),
            bias=fmean(one.difference or 0.0 for one in first),
            coverage=fmean(one.covered for one in first),
            corrected=fmean(one.corrected or 0.0 for one in chosen),
            corrected_coverage=fmean(one.corrected_covered for one in chosen),
            found=fmean(one.found for one in studies),
            tested=fmean(one.tested for one in studies),
            called=fmean(one.called for one in studies),
        )

    def __str__(self) -> str:
        return (
            f"better {self.better:.3f}, worse {self.worse:.3f}, Δ {self.bias:+.4f}, coverage {self.coverage:.3f}, "
            f"Δ corrected {self.corrected:+.4f}, coverage {self.corrected_coverage:.3f}; by the search's test any "
            f"better {self.called:.3f}"
        )


def cell(
    studies: int, tried: int, size: int, raced: bool, share: bool, kind: str = "utilities", effect: float = 0.0
) -> Cell:
    keys = ([SEED, size, tried, raced, repetition] for repetition in range(studies))
    return Cell.of([study(key, tried, size, raced, share, kind, effect) for key in keys])


def cells() -> Iterator[tuple[int, int, bool]]:
    """(tried, subjects, raced)."""
    yield from ((tried, size, raced) for tried in TRIED for size in SIZES for raced in (False, True))


def main(studies: int) -> None:
    for kind in GENERATORS:
        for tried, size, raced in cells():
            for share in (True, False):
                words = f"{kind}, K = {tried}, {size} subjects, {'raced' if raced else 'all complete'}"
                said = cell(studies, tried, size, raced, share, kind)
                print(f"{words}, chosen by {'a share' if share else 'all'}, {studies} studies: {said}", flush=True)


def power(studies: int) -> None:
    """How often one of 60 that is truly better, by .08 UF1, is called so."""
    for size in (26, 68):
        for share in (True, False):
            own = cell(studies, 60, size, False, share, effect=EFFECT)
            words = f"+.08 UF1 among 60, {size} subjects, chosen by {'a share' if share else 'all'}, {studies} studies"
            print(
                f"{words}: found in confirm {own.found:.3f}, by the test of all candidates {own.tested:.3f}", flush=True
            )


if __name__ == "__main__":
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    main(many)
    power(many)
