"""A linear support vector machine on LBP-TOP, whose cost each fold chooses by folds of its own training subjects."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from search_spaces.config import TrialConfig
from study.classical import lbp_top
from study.data.clips import Clips
from study.training.protocol import Fold, Mask

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_COSTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # of the SVM, among which each fold chooses
_INNER = 3  # folds of the training subjects, by which it does


def support_vectors(
    config: TrialConfig, clips: Clips, fold: Fold, labels: Labels, order: npt.NDArray[np.int64]
) -> Floats:
    """A linear SVM on LBP-TOP; the softmax of its decision values stands for probabilities, which it has none of."""
    x, rows = lbp_top.features(clips, config, fold.seed), order[fold.train[order]]
    present = np.unique(labels[rows])
    if len(present) == 1:
        return np.repeat(np.eye(len(clips.classes))[present], fold.test.sum(), axis=0)
    cost = _cost(config, x[rows], labels[rows], clips.subjects[rows])
    return _softmax(_machine(config, cost).fit(x[rows], labels[rows]), x, fold.test, len(clips.classes))


def _machine(config: TrialConfig, cost: float) -> Pipeline:
    weights = "balanced" if config.class_weights == "balanced" else None
    return make_pipeline(StandardScaler(), LinearSVC(C=cost, class_weight=weights, random_state=0, max_iter=5000))


def _cost(config: TrialConfig, x: Floats, labels: Labels, subjects: npt.NDArray[np.str_]) -> float:
    """The cost whose predictions have the best UF1 over folds of the training subjects; of equal ones the least."""
    many = min(_INNER, len(np.unique(subjects)))
    middle = _COSTS[len(_COSTS) // 2]
    if many < 2:
        return middle
    splits = list(GroupKFold(many).split(x, labels, subjects))
    if any(len(np.unique(labels[train])) < 2 for train, _ in splits):
        return middle
    scores = []
    for cost in _COSTS:
        found = np.empty_like(labels)
        for train, test in splits:
            found[test] = _machine(config, cost).fit(x[train], labels[train]).predict(x[test])
        scores.append(f1_score(labels, found, average="macro"))
    return _COSTS[int(np.argmax(scores))]


def _softmax(fitted: Pipeline, x: Floats, test: Mask, n_classes: int) -> Floats:
    """Of the decision values, 0 for a class that the fold has no training clip of."""
    values = fitted.decision_function(x[test])
    values = np.stack([-values, values], axis=1) if values.ndim == 1 else values
    out = np.zeros((len(values), n_classes))
    raised = np.exp(values - values.max(1, keepdims=True))
    out[:, fitted.classes_] = raised / raised.sum(1, keepdims=True)
    return out
