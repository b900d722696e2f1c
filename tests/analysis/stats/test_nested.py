"""The nested reading of equal configurations is not too high, where the best by its own score is."""

import os

import numpy as np
import pytest

from analysis.stats.metrics import uf1
from analysis.stats.nested import choices
from benchmarks.score_tables import SKILL, Tried, subjects

STUDIES = 2000 if os.environ.get("LOSOLAB_SOAK") else 150
EQUAL = [SKILL] * 12


def test_the_best_of_each_fold_and_of_ties_the_first():
    inner = np.zeros((3, 2, 2, 2), np.int64)
    inner[:, :] = [[3, 1], [1, 3]]
    inner[2, 1] = [[4, 0], [0, 4]]
    np.testing.assert_array_equal(choices(inner), [0, 2])


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 26])
def test_the_nested_reading_of_twelve_equal_configurations_is_not_too_high(size):
    """Score tables whose configurations each have lasting effects on subjects; inner folds are trained anew."""
    nested, naive = zip(
        *(_study(size, np.random.default_rng([size, number])) for number in range(STUDIES)), strict=True
    )
    error = np.std(nested) / np.sqrt(STUDIES)
    print(
        f"{size} subjects, {STUDIES} studies: nested {np.mean(nested):+.4f} +- {error:.4f}, naive {np.mean(naive):+.4f}"
    )
    assert abs(np.mean(nested)) < 0.02 + (0 if STUDIES > 1000 else error)
    assert np.mean(naive) > 0.04


def _study(size: int, generator: np.random.Generator) -> tuple[float, float]:
    """By how much the procedure, and the best by its own score, are above the mean of the equal configurations."""
    tried = Tried.on(subjects(size, generator), generator, EQUAL)
    outer = tried.runs(generator, 1)[:, :, 0]
    inner = []
    for subject in range(size):
        again = tried.runs(generator, 1)[:, :, 0]
        inner.append(again.sum(1) - again[:, subject])
    chosen = choices(np.stack(inner, axis=1))
    scores = uf1(outer.sum(1))
    procedure = uf1(outer[chosen, np.arange(size)].sum(0))
    return float(procedure - scores.mean()), float(scores.max() - scores.mean())
