import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.stats import metrics
from analysis.stats.confusion import count

CONFUSIONS = st.integers(2, 5).flatmap(lambda k: arrays(np.int64, (k, k), elements=st.integers(0, 30)))
# Class counts 250/109/83 and recalls 87.60/56.88/71.08 as STSTNet (2019) prints them; its columns then follow uniquely
# from its UF1 0.7353 and its "UAR" 0.7605.
STSTNET = np.array([[219, 20, 11], [42, 62, 5], [19, 5, 59]])


def test_pooled_example_of_two_folds():
    pooled = count(y_true=["0", "0", "1", "0", "2"], y_pred=["0", "0", "1", "0", "0"], classes=["0", "1", "2"])
    assert metrics.f1(pooled) == pytest.approx([6 / 7, 1, 0])
    assert metrics.uf1(pooled) == pytest.approx(0.619, abs=5e-4)
    assert metrics.uar(pooled) == pytest.approx(2 / 3)
    assert metrics.accuracy(pooled) == pytest.approx(0.8)


def test_means_over_folds_of_the_same_example_are_other_numbers():
    folds = np.stack([
        count(y_true=["0", "0", "1"], y_pred=["0", "0", "1"], classes=["0", "1", "2"]),
        count(y_true=["0", "2"], y_pred=["0", "0"], classes=["0", "1", "2"]),
    ])  # fmt: skip
    assert metrics.fold_mean_f1(folds) == pytest.approx((1 + 1 / 3) / 2)
    assert metrics.accuracy(folds).mean() == pytest.approx(0.75)
    assert metrics.weighted_f1(folds.sum(0)) == pytest.approx((3 * 6 / 7 + 1) / 5)


def test_both_matrices_of_the_paper():
    """Reddy et al. (2019), 3D-CNN on CAS(ME)^2 and SMIC: rows are true classes."""
    casme = np.array([[19, 1, 1], [0, 11, 1], [1, 1, 6]])
    smic = np.array([[14, 0, 5], [2, 2, 2], [1, 0, 6]])
    assert [metrics.uf1(casme), metrics.uf1(smic)] == pytest.approx([0.852276, 0.625926], abs=5e-7)
    assert [metrics.uar(casme), metrics.uar(smic)] == pytest.approx([0.857143, 0.642439], abs=5e-7)


def test_megc_row_of_a_constant_answer():
    constant = np.array([[250, 0, 0], [109, 0, 0], [83, 0, 0]])
    found = [metrics.accuracy(constant), metrics.uf1(constant), metrics.uar(constant)]
    assert np.round(found, 4) == pytest.approx([0.5656, 0.2408, 0.3333])
    assert np.isnan(metrics.macro_precision(constant))  # 0/0: two classes are never predicted


def test_published_uar_that_is_a_precision():
    assert STSTNET.sum(1).tolist() == [250, 109, 83]
    assert round(float(metrics.uf1(STSTNET)), 4) == round(float(metrics.uf1(STSTNET.T)), 4) == 0.7353
    assert round(float(metrics.accuracy(STSTNET)), 4) == 0.7692
    assert round(float(metrics.uar(STSTNET)), 4) == pytest.approx(0.7186, abs=1e-4)
    assert round(float(metrics.macro_precision(STSTNET)), 4) == round(float(metrics.uar(STSTNET.T)), 4) == 0.7605


def test_labels_are_keyword_only_and_known():
    with pytest.raises(TypeError):
        count(["a"], ["a"], ["a"])  # type: ignore[misc]
    with pytest.raises(ValueError, match="none of"):
        count(y_true=["a"], y_pred=["c"], classes=["a", "b"])
    with pytest.raises(ValueError):
        count(y_true=["a"], y_pred=["a", "b"], classes=["a", "b"])


def test_sklearn_agrees_on_random_labels():
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(3)
    classes = ["a", "b", "c", "d"]
    y_true, y_pred = (generator.choice(classes, 300).tolist() for _ in range(2))
    pooled = count(y_true=y_true, y_pred=y_pred, classes=classes)
    assert metrics.uf1(pooled) == pytest.approx(sklearn.f1_score(y_true, y_pred, average="macro"))
    assert metrics.uar(pooled) == pytest.approx(sklearn.balanced_accuracy_score(y_true, y_pred))
    assert metrics.accuracy(pooled) == pytest.approx(sklearn.accuracy_score(y_true, y_pred))
    assert metrics.weighted_f1(pooled) == pytest.approx(sklearn.f1_score(y_true, y_pred, average="weighted"))
    assert metrics.macro_precision(pooled) == pytest.approx(sklearn.precision_score(y_true, y_pred, average="macro"))


def test_a_lost_class_leaves_the_mean_and_is_told():
    lost = np.array([[3, 1, 0], [1, 3, 0], [0, 0, 0]])
    assert metrics.empty(lost)
    assert metrics.uf1(lost) == pytest.approx(0.75)
    assert metrics.uar(lost) == pytest.approx(0.75)
    only_predicted = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    assert not metrics.empty(only_predicted)
    assert metrics.uf1(only_predicted) == pytest.approx((6 / 7 + 1 + 0) / 3)
    assert np.isnan(metrics.uf1(np.zeros((3, 3), dtype=int)))


@given(CONFUSIONS)
def test_uf1_cannot_tell_a_transposed_matrix_and_uar_becomes_precision(counts):
    np.testing.assert_allclose(metrics.uf1(counts), metrics.uf1(counts.T))
    np.testing.assert_allclose(metrics.recall(counts), metrics.precision(counts.T))


@given(CONFUSIONS)
def test_parts_are_all_that_uf1_needs(counts):
    np.testing.assert_array_equal(metrics.uf1_of(metrics.parts(counts)), metrics.uf1(counts))


@given(CONFUSIONS, st.permutations(range(5)))
def test_metrics_do_not_depend_on_the_order_of_classes(counts, order):
    order = [i for i in order if i < len(counts)]
    shuffled = counts[np.ix_(order, order)]
    np.testing.assert_allclose(metrics.uf1(counts), metrics.uf1(shuffled))
    np.testing.assert_allclose(metrics.uar(counts), metrics.uar(shuffled))


def test_chance_is_the_mean_over_all_permutations_within_subjects():
    labels = [[0, 0, 1], [1, 2, 2, 0]]
    predictions = [[0, 1, 1], [2, 2, 1, 0]]
    counts = np.zeros((2, 1, 3, 3), dtype=int)
    for i in range(2):
        np.add.at(counts[i, 0], (labels[i], predictions[i]), 1)
    scores = []
    for first, second in itertools.product(*(itertools.permutations(some) for some in labels)):
        pooled = np.zeros((3, 3), dtype=int)
        np.add.at(pooled, ([*first, *second], [*predictions[0], *predictions[1]]), 1)
        scores.append(metrics.uf1(pooled))
    assert metrics.chance(counts)[0] == pytest.approx(np.mean(scores))
