"""Predictions of the baselines that no gradient trains, fold by fold."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from search_spaces.config import TrialConfig
from study.data.clips import Clips
from study.training.labels import told_labels
from study.training.protocol import Fold

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def predict(config: TrialConfig, clips: Clips, folds: Sequence[Fold]) -> list[Floats]:
    """Probabilities of every fold's held-out clips, [n_test, C] in the order of `clips`. `folds` are of one seed."""
    # Sorted by subject and id, so that no result depends on the order of rows.
    order = np.lexsort((clips.ids, clips.subjects))
    told = np.empty((len(folds), len(clips)), np.int64)
    told[:, order] = told_labels(config, clips, order, folds)
    pairs = zip(folds, told, strict=True)
    if config.network == "majority":
        return [_majority(fold, labels, len(clips.classes)) for fold, labels in pairs]
    from study.classical.support_vectors import support_vectors  # scikit-learn takes 150 MB that the others save

    return [support_vectors(config, clips, fold, labels, order) for fold, labels in pairs]


def libraries(config: TrialConfig) -> str:
    """What computes a configuration's predictions, beside numpy."""
    names = () if config.network == "majority" else ("scikit-learn", "scikit-image")
    return ", ".join(f"{name} {version(name)}" for name in names)


def _majority(fold: Fold, labels: Labels, n_classes: int) -> Floats:
    """Each class's share of the fold's training clips, for every clip: the commonest is predicted."""
    counts = np.bincount(labels[fold.train], minlength=n_classes)
    return np.repeat((counts / counts.sum())[None], fold.test.sum(), axis=0)
