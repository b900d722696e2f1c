"""Bootstrap intervals of pooled UF1 over subjects, and Wilcoxon's test: options beside the default of inference.py.

The percentile and BCa intervals are not offered: they cover 90 to 93 % at 16 to 26 subjects, and as tests they reject 8
to 10 % of true null hypotheses.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.special import ndtr, stdtrit

from analysis.stats.confusion import Counts
from analysis.stats.inference import LEVEL, TINY, swaps
from analysis.stats.metrics import Floats, accuracy, parts, uf1_of
from search_spaces.digests import stream

DRAWS = 2_000


def draws(subjects: int, strata: Sequence[int] | None = None) -> Floats:
    """How often each subject is drawn, [DRAWS, N]; with strata (one a subject), within each of them."""
    generator = np.random.Generator(np.random.Philox(stream("analysis", "bootstrap interval", subjects)))
    labels = np.zeros(subjects, dtype=int) if strata is None else np.asarray(strata)
    drawn = np.zeros((DRAWS, subjects))
    for label in sorted(set(labels.tolist())):
        own = np.flatnonzero(labels == label)
        drawn[:, own] = generator.multinomial(len(own), np.full(len(own), 1 / len(own)), DRAWS)
    return drawn


def expanded_percentile(counts: Counts, drawn: Floats) -> tuple[float, float]:
    """Percentile interval at Hesterberg's (2015) wider levels, Phi(-sqrt(n/(n-1)) t), of counts [N, S, K, K]."""
    subjects = len(counts)
    tail = ndtr(np.sqrt(subjects / (subjects - 1)) * stdtrit(subjects - 1, (1 - LEVEL) / 2))
    low, high = np.quantile(resampled(counts, drawn)[0], [tail, 1 - tail]).tolist()
    return low, high


def bootstrap_t(counts: Counts, drawn: Floats) -> tuple[float, float]:
    """Interval from (UF1* - UF1) / SE* with the influence-function SE of every draw, within 0 and 1."""
    values, errors = resampled(counts, drawn)
    estimate, error = (float(found[0]) for found in resampled(counts, np.ones((1, len(counts)))))
    kept = errors > TINY
    if not kept.any():
        return estimate, estimate
    t = (values[kept] - estimate) / errors[kept]
    low, high = estimate - error * np.quantile(t, [(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    return max(0.0, float(low)), min(1.0, float(high))


def resampled(counts: Counts, drawn: Floats) -> tuple[Floats, Floats]:
    """Seed-averaged pooled UF1 of every draw, and its influence-function SE [DRAWS]."""
    subjects, seeds, classes = counts.shape[:3]
    own = parts(counts).reshape(2, subjects, -1)
    pooled = np.stack([drawn @ part for part in own]).reshape(2, len(drawn), seeds, classes)
    hits, margins = pooled
    there = margins > 0
    slope = np.divide(2.0, margins, out=np.zeros_like(margins), where=there)
    slope /= np.maximum(there.sum(-1, keepdims=True), 1) * seeds
    down = np.divide(hits * slope, margins, out=np.zeros_like(margins), where=there)
    influence = (slope.reshape(len(drawn), -1) @ own[0].T) - (down.reshape(len(drawn), -1) @ own[1].T)
    errors = np.sqrt(subjects / (subjects - 1) * (drawn * influence**2).sum(1))
    return uf1_of(pooled).mean(-1), errors


def wilcoxon(arm: Counts, baseline: Counts) -> float:
    """p of Wilcoxon's signed-rank test (zeros by Pratt) on subjects' accuracies, mean over seeds, by subject swaps.

    Exact where these are all 2^N, with ties and zeros too: the normal approximation has no say at a dozen subjects.
    It asks after the typical subject's accuracy, not after UF1: classes traded against each other are an effect here.
    """
    one, other = (accuracy(counts).mean(1) for counts in (arm, baseline))
    apart = np.round(one - other, 12)
    ranks = np.sign(apart) * stats.rankdata(np.abs(apart))
    sums = np.abs(np.where(swaps(len(apart)).keep, 1.0, -1.0) @ ranks)
    return float((sums >= sums[0] - TINY).mean())
