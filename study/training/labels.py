"""The labels that folds are told: as annotated, or shuffled or permuted by a control; and how much each weighs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from study.data.clips import ClipNames
from study.system.random_bits import permutation
from study.training.protocol import Fold


def told_labels(
    config: TrialConfig, clips: ClipNames, order: npt.NDArray[np.int64], folds: Sequence[Fold]
) -> npt.NDArray[np.int64]:
    """What each fold is told of each clip's class [F, N], the clips in this order."""
    labels, subjects = clips.labels[order], clips.subjects[order]
    if config.control == "shuffled_labels":
        own = [(fold.train[order], (fold.seed, fold.held_out)) for fold in folds]
        return np.stack([shuffled_labels(labels, trained_on, name) for trained_on, name in own])
    if config.control == "permuted_labels":
        labels = permuted(labels, subjects, folds[0].seed)
    return np.repeat(labels[None], len(folds), axis=0)


def shuffled_labels(
    labels: npt.NDArray[np.int64],
    trained_on: npt.NDArray[np.bool_],
    fold: tuple[int, str],
) -> npt.NDArray[np.int64]:
    """Labels permuted over the clips that a fold trains on: nothing of them is left to learn.

    fold: its seed and held-out subject, by whose stream; held-out clips keep their labels. Not within the datasets of a
    composite: their shares of the classes would stay, and from them a network tells labels without any leak.
    """
    out, rows = labels.copy(), np.flatnonzero(trained_on)
    out[rows] = labels[rows[permutation(stream("shuffled_labels", *fold), len(rows))]]
    return out


def permuted(labels: npt.NDArray[np.int64], subjects: npt.NDArray[np.str_], seed: int) -> npt.NDArray[np.int64]:
    """Labels permuted within each subject, by the stream (seed, subject): each keeps its share of classes."""
    out = labels.copy()
    for subject in np.unique(subjects):
        rows = np.flatnonzero(subjects == subject)
        out[rows] = labels[rows[permutation(stream("permuted_labels", seed, str(subject)), len(rows))]]
    return out


def balanced(
    labels: npt.NDArray[np.int64], trained_on: npt.NDArray[np.bool_], n_classes: int
) -> npt.NDArray[np.float64]:
    """Weight of each clip in each fold's loss [F, N]: inverse to its class's number of the fold's training clips.

    labels [F, N], as each fold is told them.
    The mean weight of a fold's training clips is 1, the same as scikit-learn's `balanced` where no class is missing.
    """
    counts = np.stack(
        [np.bincount(own[mask], minlength=n_classes) for own, mask in zip(labels, trained_on, strict=True)]
    )
    present = (counts > 0).sum(axis=1, keepdims=True)
    of_class = counts.sum(axis=1, keepdims=True) / (present * counts.clip(1))
    return trained_on * np.take_along_axis(of_class, labels, axis=1)
