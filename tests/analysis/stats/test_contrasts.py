"""Contrasts against what they are made of: the main table's comparison, and the jackknife done by hand."""

import numpy as np
import pytest
from scipy import stats

from analysis.stats.contrasts import by_jackknife, by_swaps
from analysis.stats.inference import compare
from analysis.stats.metrics import uf1


@pytest.fixture
def counts():
    return np.random.default_rng(4).multinomial(6, np.full(9, 1 / 9), (4, 10, 2)).reshape(4, 10, 2, 3, 3)


def test_the_contrast_of_two_configurations_is_their_comparison(counts):
    compared = compare(counts[1], {"a": counts[0]}, ["a"])["a"]
    (found,) = by_swaps(counts[:2], np.array([[1.0, -1.0]]), [([0], [1])])
    assert (found.difference, found.low, found.high) == pytest.approx(
        (compared.difference, compared.low, compared.high)
    )
    assert (found.p, found.p_adjusted) == (compared.p, compared.p)


def test_halves_are_averaged_and_their_p_adjusted_together(counts):
    weights = np.array([[0.5, -0.5, 0.5, -0.5], [0.5, 0.5, -0.5, -0.5]])
    values = uf1(counts.sum(1)).mean(-1)
    found = by_swaps(counts, weights, [([0, 2], [1, 3]), ([0, 1], [2, 3])])
    assert [one.difference for one in found] == pytest.approx((weights @ values).tolist())
    assert all(one.p <= one.p_adjusted <= 2 * max(other.p for other in found) for one in found)
    doubled = by_swaps(counts, 2 * weights[:1], [([0, 2], [1, 3])])[0]
    assert (doubled.difference, doubled.se) == pytest.approx((2 * found[0].difference, 2 * found[0].se))


def test_a_contrast_is_the_jackknife_of_itself(counts):
    weights = np.array([[1, -1, 0, 0], [0.5, 0.5, -0.5, -0.5]])
    for row, found in zip(weights, by_jackknife(counts, weights), strict=True):
        estimate, se = found.difference, found.se
        left_out = [row @ uf1(np.delete(counts, i, 1).sum(1)).mean(-1) for i in range(10)]
        assert estimate == pytest.approx(row @ uf1(counts.sum(1)).mean(-1))
        assert se == pytest.approx(np.sqrt(9 / 10 * np.sum((left_out - np.mean(left_out)) ** 2)))
        assert found.p == pytest.approx(2 * stats.t.sf(abs(estimate) / se, 9))
        assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 9, estimate, se))
    same = by_jackknife(np.repeat(counts[:1], 2, 0), np.array([[1.0, -1.0]]))[0]
    assert (same.difference, same.se, same.p) == (0, 0, 1)
