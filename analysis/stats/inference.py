"""Intervals and paired tests of pooled UF1. Subjects are the sample: never clips, never seeds.

Counts are [N subjects, S seeds, K true, K predicted]; the statistic is the mean over seeds of the UF1 pooled over
subjects. Methods and their measured coverage and size: docs/report.md.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from analysis.results.results import MARGIN
from analysis.stats.confusion import Counts
from analysis.stats.metrics import empty, parts, uf1
from search_spaces.digests import stream

Floats = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "equivalent", "inconclusive", "identical"]

LEVEL = 0.95
RESAMPLES = 19_999
TINY = 1e-12  # what rounding leaves of a zero
POWER = 0.8  # with which a detectable difference is found


@dataclass(frozen=True)
class Interval:
    """A pooled UF1 with its confidence interval over subjects.

    se: on the scale of UF1, the seeds' excess included. lost: subjects without whom a class is empty in some seed,
    so that the UF1 without them is a mean over fewer classes.
    """

    estimate: float
    low: float
    high: float
    se: float
    method: Literal["jackknife, logit", "exact binomial"]
    lost: int


@dataclass(frozen=True)
class Comparison:
    """A variant minus the baseline. p <= 0.05 and an interval without 0 are the same event.

    narrow: the 90 % interval, for equivalence; in a family it holds for all of its rows at once. joint: the 95 %
    interval that does (single-step max-T; None outside the family, as p_adjusted). wins, ties, losses: of the
    `subjects`, those on which the variant predicts more, as many, fewer clips right than the baseline, over all seeds.
    differing: subjects whose confusions differ from the baseline's. smallest: the least p that swaps of these can give;
    an interval at a level that no p reaches does not exist, and its ends are then -1 and 1.

    detectable: the true difference for which the verdict is `better` or `worse` in four studies of five like this one,
    (q + t) SE with q the quantile of the interval that decides and t that of POWER.
    """

    difference: float
    low: float
    high: float
    narrow: tuple[float, float]
    joint: tuple[float, float] | None
    se: float
    p: float
    p_adjusted: float | None
    wins: int
    ties: int
    losses: int
    differing: int
    subjects: int
    smallest: float
    detectable: float
    verdict: Verdict

    @property
    def shown(self) -> tuple[float, float | None, float | None]:
        """The difference and its 95 % interval, None for the ends where there is no such interval."""
        there = _reached(self.smallest, LEVEL)
        return self.difference, self.low if there else None, self.high if there else None

    @property
    def bound(self) -> float | None:
        """The largest difference that the 90 % interval leaves; None where there is no such interval."""
        return max(map(abs, self.narrow)) if _reached(self.smallest, 2 * LEVEL - 1) else None


@dataclass(frozen=True)
class Swaps:
    """Which subjects keep their arm, bool [P, N]; row 0 keeps all of them."""

    keep: npt.NDArray[np.bool_]


def every_swap(subjects: int) -> bool:
    """Whether all 2^N swaps are made, and not RESAMPLES of them."""
    return 2**subjects <= RESAMPLES


def swaps(subjects: int, resamples: int | None = None) -> Swaps:
    """All 2^N swaps where they are no more than RESAMPLES, else that many random ones and the observed.

    One set serves every comparison of a study (a common sign vector), which is what max-T needs.
    """
    many = RESAMPLES if resamples is None else resamples
    if 2**subjects <= many:
        rows = (np.arange(2**subjects)[:, None] >> np.arange(subjects)) & 1
        return Swaps(rows == 0)
    generator = np.random.Generator(np.random.Philox(stream("analysis", "subject swaps", subjects)))
    keep = generator.integers(0, 2, (many + 1, subjects)).astype(np.bool_)
    keep[0] = True
    return Swaps(keep)


def interval(counts: Counts) -> Interval:
    """95 % interval of the pooled UF1: subject jackknife, t(N - 1), on the logit scale.

    A UF1 of exactly 0 or 1 has no logit and no variance: then the far end is that of N of N subjects by Clopper and
    Pearson, (alpha/2)^(1/N). Raises ValueError for fewer than 2 subjects.
    """
    from scipy.special import expit, logit, stdtrit  # .2 s: a plan asks this module for its constants alone

    subjects = len(counts)
    if subjects < 2:
        raise ValueError("an interval over subjects needs at least 2 subjects")
    estimate = float(uf1(counts.sum(0)).mean())
    margin = ((1 - LEVEL) / 2) ** (1 / subjects)
    lost = int(empty(counts.sum(0) - counts).any(-1).sum())
    if estimate >= 1:
        return Interval(estimate, margin, 1.0, 0.0, "exact binomial", lost)
    if estimate <= 0:
        return Interval(estimate, 0.0, 1 - margin, 0.0, "exact binomial", lost)
    se = float(np.sqrt(_jackknife(_left_out(counts).mean(-1)) + seed_excess(counts) / counts.shape[1]))
    half = stdtrit(subjects - 1, (1 + LEVEL) / 2) * se / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-half, half]))
    return Interval(estimate, float(low), float(high), se, "jackknife, logit", lost)


def seed_excess(*arms: Counts) -> float:
    """Variance of a run's UF1 that its subjects do not explain: max(0, s2 - 1/2 mean over pairs of seeds of SE2).

    The jackknife over subjects holds the folds' seed noise already; only what moves a whole run at once is missing.
    Averaged over the arms before the maximum, which is too large on average the fewer seeds there are. 0 with fewer
    than 3 seeds, where it cannot be told.
    """
    return max(0.0, float(np.mean([_unexplained(counts) for counts in arms]))) if arms[0].shape[1] >= 3 else 0.0


def _unexplained(counts: Counts) -> float:
    left_out = _left_out(counts)
    pairs = [_jackknife(left_out[:, a] - left_out[:, b]) for a, b in combinations(range(counts.shape[1]), 2)]
    return float(uf1(counts.sum(0)).var(ddof=1) - np.mean(pairs) / 2)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two arms to compare, counts [N, S, K, K] of the same subjects; arm and baseline swap subjects column by column.

    excess: variance of their difference that the subjects do not explain.
    """

    arm: Counts
    baseline: Counts
    excess: float

    @classmethod
    def of(cls, arm: Counts, baseline: Counts) -> "Pair":
        """Of two configurations, whose columns are seeds."""
        return cls(arm, baseline, 2 * seed_excess(arm, baseline) / arm.shape[1])


def compare(
    baseline: Counts,
    arms: Mapping[str, Counts],
    family: Collection[str],
    chosen: Swaps | None = None,
    missing: int = 0,
    margin: float = MARGIN,
) -> dict[str, Comparison]:
    """Every arm against the baseline by subject swaps; p is adjusted (step-down max-T) over the family.

    Counts are of the same subjects and as many seeds, [N, S, K, K]. The interval is d +- q SE with q the 95 % quantile
    of the same studentised permutations that give p. chosen: the swaps, where they are not all of `swaps`. missing: so
    many more rows of the family were planned and have no result: Bonferroni's share of the level is kept for each.
    margin: differences up to it are of no practical matter.
    """
    pairs = {name: Pair.of(arm, baseline) for name, arm in arms.items()}
    return compare_pairs(pairs, family, chosen, missing, margin)


def compare_pairs(
    pairs: Mapping[str, Pair],
    family: Collection[str],
    chosen: Swaps | None = None,
    missing: int = 0,
    margin: float = MARGIN,
) -> dict[str, Comparison]:
    """The same of pairs that have a baseline each, all of the same subjects."""
    if not pairs:
        return {}
    chosen = chosen or swaps(len(next(iter(pairs.values())).arm))
    tests = {name: _Test.of(pair, chosen) for name, pair in pairs.items()}
    rows = [name for name in pairs if name in family]
    adjusted, widest = _max_t([tests[name] for name in rows])
    compared = {name: _comparison(test, pairs[name]) for name, test in tests.items()}
    planned = 1 + missing / max(1, len(rows))
    for name, p in zip(rows, adjusted, strict=True):
        own = tests[name]
        compared[name] = replace(
            compared[name],
            p_adjusted=min(1.0, p * planned),
            joint=own.interval(widest, 1 - (1 - LEVEL) / planned),
            narrow=own.interval(widest, 1 - 2 * (1 - LEVEL) / planned),
            detectable=own.detectable(widest, 1 - (1 - LEVEL) / planned),
        )
    return {name: replace(seen, verdict=_verdict(seen, margin)) for name, seen in compared.items()}


@dataclass(frozen=True)
class _Test:
    """d, its SE, |t| as observed, and |t| under every swap [P] (rounded, so that equal values are equal)."""

    difference: float
    se: float
    t: float
    swapped: Floats
    subjects: int

    @classmethod
    def of(cls, pair: Pair, chosen: Swaps) -> "_Test":
        differences, errors = swapped_differences(pair.arm, pair.baseline, chosen.keep)
        se = float(np.hypot(errors[0], np.sqrt(pair.excess))) if (pair.arm != pair.baseline).any() else 0.0
        observed = _studentised(differences[:1], np.array([se]))
        return cls(float(differences[0]), se, float(observed[0]), _studentised(differences, errors), len(pair.arm))

    @property
    def smallest(self) -> float:
        """The least p that these swaps can give: 2/2^k where k subjects differ."""
        return float((self.swapped >= self.swapped.max()).mean())

    def interval(self, swapped: Floats, level: float) -> tuple[float, float]:
        """d +- q SE; where the observed |t| is itself the quantile the interval ends at 0 exactly.

        All of [-1, 1] where no swap of this arm's subjects could ever be significant at this level.
        """
        if not _reached(self.smallest, level):
            return -1.0, 1.0
        found = quantile(swapped, level)
        spread = found * self.se if self.se > 0 else 0.0
        half = abs(self.difference) if found == self.t else spread
        return max(-1.0, self.difference - half), min(1.0, self.difference + half)

    def detectable(self, swapped: Floats, level: float = LEVEL) -> float:
        """The true difference that passes this quantile of these with 80 % power."""
        from scipy.special import stdtrit

        found = quantile(swapped, level)
        return float((found + stdtrit(self.subjects - 1, POWER)) * self.se) if np.isfinite(found) else 0.0


def quantile(swapped: Floats, level: float) -> float:
    """The smallest value that a share `level` of |t| does not exceed."""
    rank = int(np.ceil(np.round(level * len(swapped), 6)))
    return float(np.partition(swapped, rank - 1)[rank - 1])


def swapped_differences(arm: Counts, baseline: Counts, keep: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Differences of the seed-averaged pooled UF1 and their SE [P, P], each row of keep [P, N] swapping subjects.

    The SE is that of the influence function: I_i = A_i grad(A) - B_i grad(B), SE^2 = n/(n - 1) sum I_i^2. With s = A_i
    + B_i, d = A_i - B_i and sign +1 where kept: 2 I_i = s (grad A - grad B) + sign d (grad A + grad B).
    """
    pieces = [_swapped(parts(arm), parts(baseline), some) for some in np.array_split(keep, len(keep) // 2000 + 1)]
    differences, errors = (np.concatenate(values) for values in zip(*pieces, strict=True))
    return np.where(np.abs(differences) < TINY, 0.0, differences), np.where(errors < TINY, 0.0, errors)


def influences(arm: Counts, baseline: Counts) -> tuple[float, Floats]:
    """The difference of the pooled UF1, and each subject's influence on it [N], which sum to 0."""
    pieces = [part.reshape(2, len(part[0]), -1) for part in (parts(arm), parts(baseline))]
    totals = [part.sum(1).reshape(2, 1, *arm.shape[1:3]) for part in pieces]
    (one, first), (other, second) = (_uf1_and_slope(total) for total in totals)
    own = np.hstack([*pieces[0]]) @ first[0] - np.hstack([*pieces[1]]) @ second[0]
    return float(one[0] - other[0]), np.asarray(own)


def _swapped(arm: Floats, baseline: Floats, keep: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The same for some of the swaps (what fits a processor's cache), from the parts of UF1 [2, N, S, K]."""
    _, subjects, *shape = arm.shape
    both, apart = ((arm + sign * baseline).reshape(2, subjects, -1) for sign in (1, -1))
    first = np.stack([keep @ part for part in apart]) + baseline.reshape(both.shape).sum(1)[:, None]
    second = both.sum(1)[:, None] - first
    scores, slopes = zip(*(_uf1_and_slope(totals.reshape(2, -1, *shape)) for totals in (first, second)), strict=True)
    influence = np.where(keep.T, 0.5, -0.5) * (np.hstack([*apart]) @ (slopes[0] + slopes[1]).T)
    influence += np.hstack([*both]) @ ((slopes[0] - slopes[1]) / 2).T
    errors = np.sqrt(subjects / (subjects - 1) * np.einsum("np,np->p", influence, influence))
    return scores[0] - scores[1], errors


def _uf1_and_slope(totals: Floats) -> tuple[Floats, Floats]:
    """Seed-averaged UF1 [P] of pooled parts [2, P, S, K], and its slope by each of them [P, 2 S K]."""
    hits, margins = totals
    inverse = np.divide(2.0, margins, out=np.zeros_like(margins), where=margins > 0)
    inverse /= (margins > 0).sum(-1, keepdims=True) * margins.shape[1]  # mean over classes and seeds
    f1 = hits * inverse
    slope = np.divide(f1, margins, out=np.zeros_like(f1), where=margins > 0)
    return f1.sum((-2, -1)), np.hstack([part.reshape(len(f1), -1) for part in (inverse, -slope)])


def _studentised(differences: Floats, errors: Floats) -> Floats:
    """|d| / SE [P]: 0 where there is no difference, infinite where there is one without any error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(differences == 0, 0.0, np.round(np.abs(differences) / errors, 9))


def _max_t(tests: list[_Test]) -> tuple[list[float], Floats]:
    """Westfall and Young's step-down p for each test, and the maxima over all of them [P]."""
    if not tests:
        return [], np.zeros(1)
    order = np.argsort([test.t for test in tests], kind="stable")
    adjusted = np.empty(len(tests))
    maxima = np.zeros_like(tests[0].swapped)
    for i in order:  # from the smallest |t|: each row is tested against itself and all smaller ones
        maxima = np.maximum(maxima, tests[i].swapped)
        adjusted[i] = (maxima >= tests[i].t).mean()
    largest_first = order[::-1]
    adjusted[largest_first] = np.maximum.accumulate(adjusted[largest_first])
    return adjusted.tolist(), maxima


def _comparison(test: _Test, pair: Pair) -> Comparison:
    """The comparison by itself, without a family."""
    low, high = test.interval(test.swapped, LEVEL)
    right = [np.trace(counts, axis1=-2, axis2=-1).sum(1) for counts in (pair.arm, pair.baseline)]
    return Comparison(
        difference=test.difference,
        low=low,
        high=high,
        narrow=test.interval(test.swapped, 2 * LEVEL - 1),
        joint=None,
        se=test.se,
        p=float((test.swapped >= test.t).mean()),
        p_adjusted=None,
        wins=int((right[0] > right[1]).sum()),
        ties=int((right[0] == right[1]).sum()),
        losses=int((right[0] < right[1]).sum()),
        differing=int((pair.arm != pair.baseline).any((1, 2, 3)).sum()),
        subjects=test.subjects,
        smallest=test.smallest,
        detectable=test.detectable(test.swapped),
        verdict="inconclusive",
    )


def stands(p: float | None) -> bool:
    """Whether a p is small enough for a finding; rounding may have left it a trifle above the level."""
    return p is not None and p <= 1 - LEVEL + 1e-12


def _verdict(compared: Comparison, margin: float) -> Verdict:
    """By the adjusted p where there is one; equivalent if the 90 % interval is within +-margin: two one-sided tests."""
    if not compared.differing:
        return "identical"
    p = compared.p if compared.p_adjusted is None else compared.p_adjusted
    if stands(p):
        return "better" if compared.difference > 0 else "worse"
    return "equivalent" if max(map(abs, compared.narrow)) <= margin else "inconclusive"


def chance_of_equivalent(compared: Comparison, margin: float) -> float:
    """P(equivalent) of a row like this one if there is no difference at all: its 90 % interval within +-margin."""
    from scipy.special import stdtr

    if compared.bound is None or not compared.se:
        return 0.0
    half = compared.bound - abs(compared.difference)
    room = (margin - half) / compared.se
    return float(2 * stdtr(compared.subjects - 1, room) - 1) if room > 0 else 0.0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down p of each test: the smallest times the number of tests, the next times one fewer, and so on."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def _reached(smallest: float, level: float) -> bool:
    """Whether tests whose least p is this one can reject at 1 - level, and so have an interval of this level."""
    return smallest <= 1 - level + 1e-12


def _left_out(counts: Counts) -> Floats:
    """Pooled UF1 without each subject [N, S]."""
    return uf1(counts.sum(0) - counts)


def _jackknife(left_out: Floats) -> float:
    """Variance of a statistic from its values without each subject [N]."""
    return float((len(left_out) - 1) * left_out.var())
