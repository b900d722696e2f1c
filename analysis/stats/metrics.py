"""Metrics of pooled confusions (MEGC 2019): sum the confusions of all folds first, then take F1, recall and accuracy.

All functions take counts [..., K true, K predicted]. A ratio 0/0 is NaN, never 0 or 1 in silence. A mean over classes
leaves out a class that a resample has lost (0 true and 0 predicted clips); `empty` counts where that happens.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]


def uf1(counts: Array) -> Floats:
    """Unweighted F1 [...]: mean over classes of 2 TP / (2 TP + FP + FN)."""
    return _mean(f1(counts))


def uar(counts: Array) -> Floats:
    """Unweighted average recall [...]: mean over classes of TP / true clips."""
    return _mean(recall(counts))


def weighted_f1(counts: Array) -> Floats:
    """Mean over classes of F1, weighted by true clips [...]; a class without true clips weighs nothing."""
    weighed = np.nan_to_num(f1(counts)) * counts.sum(-1)
    return _ratio(weighed.sum(-1), counts.sum((-2, -1)))


def fold_mean_f1(counts: Array) -> Floats:
    """Mean over subjects of each one's macro-F1 [...] from counts [N subjects, ..., K, K]; not comparable with UF1.

    Classes that a subject neither has nor is given leave its mean (scikit-learn's default). 0/0, 1-clip subjects and
    the choice of this very rule decide it; it is offered to be told apart from UF1, never as a headline.
    """
    return np.asarray(uf1(counts).mean(0))


def parts(counts: Array) -> Floats:
    """What UF1 is made of [2, ..., K]: TP, and TP + TP + FP + FN. Linear in the counts."""
    return np.stack([_hits(counts), _margins(counts)]).astype(np.float64)


def uf1_of(pooled: Floats) -> Floats:
    """UF1 [...] of pooled parts [2, ..., K]: the mean over classes of 2 TP / (2 TP + FP + FN)."""
    return _mean(_ratio(2 * pooled[0], pooled[1]))


def accuracy(counts: Array) -> Floats:
    """Share of clips predicted right [...]."""
    return _ratio(_hits(counts).sum(-1), counts.sum((-2, -1)))


def macro_precision(counts: Array) -> Floats:
    """Mean over classes of TP / predicted clips [...]; NaN where a class is never predicted.

    It is the UAR of the transposed matrix, and has been published as UAR (STSTNet, 2019): so it stands beside UAR.
    """
    return precision(counts).mean(-1)


def f1(counts: Array) -> Floats:
    """F1 of each class [..., K]; NaN for a class with neither true nor predicted clips."""
    return _ratio(2 * _hits(counts), _margins(counts))


def recall(counts: Array) -> Floats:
    """Recall of each class [..., K]; NaN for a class without true clips."""
    return _ratio(_hits(counts), counts.sum(-1))


def precision(counts: Array) -> Floats:
    """Precision of each class [..., K]; NaN for a class that is never predicted."""
    return _ratio(_hits(counts), counts.sum(-2))


def empty(counts: Array) -> npt.NDArray[np.bool_]:
    """Whether a class has neither true nor predicted clips [...], so that UF1 is a mean over fewer classes."""
    return (_margins(counts) == 0).any(-1)


def chance(counts: Array) -> Floats:
    """UF1 expected of counts [N subjects, ..., K, K] if predictions had nothing to do with labels, pooled [...].

    Labels are permuted within each subject, so both margins stay: F1's denominators do not move, its numerators are
    linear, and the expectation is exactly the UF1 of the expected counts row x column / clips, summed over subjects.
    """
    return uf1(expected(counts).sum(0))


def expected(counts: Array) -> Floats:
    """Mean of counts [..., K, K] if labels were permuted within each of them: row x column / clips."""
    clips = counts.sum((-2, -1), keepdims=True)
    return np.asarray(counts.sum(-1)[..., :, None] * counts.sum(-2)[..., None, :] / np.maximum(clips, 1))


def _hits(counts: Array) -> Array:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _margins(counts: Array) -> Array:
    """True plus predicted clips of each class [..., K]: 2 TP + FP + FN."""
    return counts.sum(-1) + counts.sum(-2)


def _ratio(numerator: Array, denominator: Array) -> Floats:
    ratio = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=ratio, where=np.asarray(denominator) > 0)


def _mean(values: Floats) -> Floats:
    """Mean over the classes that are defined [...]."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0.0).sum(-1), there.sum(-1))
