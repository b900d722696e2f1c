"""Estimates of contrasts of configurations' pooled UF1: by swaps of subjects' levels, or by their jackknife.

Where an effect is the difference of two halves of a design, whose configurations differ in nothing else, a subject's
levels are swapped as arms are in the main table. Elsewhere the jackknife's t stands in, which finds too much of nothing
with one seed (docs/report.md has the figures).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from analysis.stats.confusion import Counts
from analysis.stats.inference import LEVEL, TINY, Pair, compare_pairs, holm, seed_excess
from analysis.stats.metrics import Floats, uf1

Halves = tuple[Sequence[int], Sequence[int]]  # configurations in the same order: each has its partner in the other


@dataclass(frozen=True)
class Estimate:
    """A contrast of UF1 with its 95 % interval; p_adjusted: over all contrasts of the table."""

    difference: float
    low: float
    high: float
    se: float
    p: float
    p_adjusted: float


def by_swaps(counts: Counts, weights: Floats, halves: Sequence[Halves]) -> list[Estimate]:
    """Of each row of weights [E, M] on the UF1 of counts [M, N, S, K, K], by studentised swaps and step-down max-T.

    The configurations of a half stand beside each other as the seeds of one arm do, so that their mean is compared.
    """
    excess = seed_excess(*counts) / counts.shape[2]
    scales = [float(row[list(plus)].sum()) for row, (plus, _) in zip(weights, halves, strict=True)]
    pairs = {
        str(i): Pair(_beside(counts, plus), _beside(counts, minus), float((row**2).sum() * excess / scale**2))
        for i, (row, (plus, minus), scale) in enumerate(zip(weights, halves, scales, strict=True))
    }
    found = compare_pairs(pairs, pairs.keys())
    return [
        Estimate(scale * c.difference, scale * c.low, scale * c.high, scale * c.se, c.p, c.p_adjusted or 0.0)
        for c, scale in zip(found.values(), scales, strict=True)
    ]


def _beside(counts: Counts, half: Sequence[int]) -> Counts:
    """Configurations as the seeds of one arm, [N, S of all, K, K]."""
    return np.concatenate(counts[list(half)], 1)


def by_jackknife(counts: Counts, weights: Floats) -> list[Estimate]:
    """The same by the subject jackknife of the contrast and the seeds' excess; t(N - 1), both sides, Holm."""
    subjects, seeds = counts.shape[1:3]
    values = uf1(counts.sum(1)).mean(-1)
    left_out = uf1(counts.sum(1, keepdims=True) - counts).mean(-1)  # [M, N]
    excess = seed_excess(*counts) / seeds
    quantile = stdtrit(subjects - 1, (1 + LEVEL) / 2)
    found = []
    for row in weights:
        estimate = float(row @ values)
        se = float(np.sqrt((subjects - 1) * (row @ left_out).var() + (row**2).sum() * excess))
        estimate, se = (0.0 if abs(value) < TINY else value for value in (estimate, se))
        t = abs(estimate) / se if se else np.inf if estimate else 0.0
        p = 2 * float(stdtr(subjects - 1, -t))
        found.append((estimate, estimate - quantile * se, estimate + quantile * se, se, p))
    adjusted = holm([p for *_, p in found])
    return [Estimate(*own, p) for own, p in zip(found, adjusted, strict=True)]
