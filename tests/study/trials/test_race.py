"""The race: scores that add up to UF1, exact p, the subject at which a trial stops."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from analysis.stats.metrics import uf1
from study.trials.race import block_sizes, differences, hopeless, imputed, signed_rank_p

CLASSES = 3
A_HALF = np.array([[2, 2, 0], [1, 2, 1], [0, 1, 3]])
PERFECT = np.diag([4, 4, 4])


@st.composite
def pairs(draw):
    """Two trials on the same clips: as many of each class by subject, predicted otherwise."""
    subjects = draw(st.integers(5, 14))
    truth = draw(arrays(np.int64, (subjects, CLASSES), elements=st.integers(1, 4)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (subjects, CLASSES, CLASSES)
    return tuple(generator.multinomial(truth, generator.dirichlet([1, 1, 1]), shape[:2]) for _ in range(2))


def by_enumeration(scores):
    """P(W+ <= w+) over all 2^n signs of the ranks; a zero is half on either side whatever its sign."""
    ranks = stats.rankdata(np.abs(scores))
    weight = np.where(scores == 0, ranks / 2, ranks)
    observed = weight[scores >= 0].sum()
    sums = [
        sum(w if z or plus else 0.0 for w, plus, z in zip(weight, signs, scores == 0, strict=True))
        for signs in product([False, True], repeat=len(scores))
    ]
    return np.mean(np.array(sums) <= observed + 1e-9)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
@settings(max_examples=150, deadline=None)
def test_p_is_that_of_all_signs_with_ties_and_zeros(scores):
    assert signed_rank_p(np.array(scores, float)) == pytest.approx(by_enumeration(np.array(scores, float)), abs=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40, unique_by=abs).filter(lambda found: 0.0 not in found))
@settings(max_examples=100, deadline=None)
def test_p_is_scipys_where_no_rank_is_tied(scores):
    theirs = stats.wilcoxon(scores, alternative="less", method="exact").pvalue
    assert signed_rank_p(np.array(scores)) == pytest.approx(theirs, abs=1e-12)


def test_p_is_scipys_with_ties_and_zeros():
    scores = np.array([-3, -1, -1, 0, 2, -2, 0, -1, 1, -3.0])
    every = stats.PermutationMethod(n_resamples=np.inf)
    theirs = stats.wilcoxon(scores, alternative="less", zero_method="zsplit", method=every).pvalue
    assert signed_rank_p(scores) == pytest.approx(theirs, abs=1e-12)


def test_the_smallest_p_halves_with_every_subject():
    assert [signed_rank_p(-np.arange(1.0, n + 1)) for n in (1, 3, 4, 5, 68)] == [1 / 2, 1 / 8, 1 / 16, 1 / 32, 2**-68]
    assert signed_rank_p(np.zeros(6)) == 1.0


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_differences_sum_to_the_linear_change_of_uf1(both):
    mine, opponent = both
    pooled, change = opponent.sum(0), (mine - opponent).sum(0)
    by_hand = (uf1(pooled + 1e-6 * change) - uf1(pooled - 1e-6 * change)) / 2e-6
    assert differences(mine, opponent).sum() == pytest.approx(float(by_hand), abs=1e-6)


@given(pairs(), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_several_seeds_are_summed_and_as_many_change_nothing(both, seeds):
    mine, opponent = both
    np.testing.assert_allclose(differences(seeds * mine, seeds * opponent), differences(mine, opponent), atol=2e-12)
    assert hopeless(seeds * mine, seeds * opponent, 0.2, 4) == hopeless(mine, opponent, 0.2, 4)


@given(pairs(), st.sampled_from([0.05, 0.1, 0.2]), st.integers(4, 8))
@settings(max_examples=100, deadline=None)
def test_a_stop_is_the_same_whatever_the_blocks_and_never_at_the_last_subject(both, p, first):
    mine, opponent = both
    whole = hopeless(mine, opponent, p, first)
    found = [hopeless(mine[:seen], opponent, p, first) for seen in range(1, len(mine) + 1)]
    assert found == [whole if whole is not None and seen >= whole else None for seen in range(1, len(mine) + 1)]
    assert whole is None or first <= whole < len(mine)


@given(pairs())
@settings(max_examples=50, deadline=None)
def test_classes_may_have_any_order(both):
    mine, opponent = (counts[:, ::-1, ::-1] for counts in both)
    np.testing.assert_allclose(differences(mine, opponent), differences(*both), atol=2e-12)


def test_known_answers():
    worse, better = np.stack([A_HALF] * 8), np.stack([PERFECT] * 8)
    assert hopeless(worse, better, 0.1, 4) == 4  # p = 1/16: the first that is below .1
    assert hopeless(worse, better, 0.05, 4) == 5  # 1/32
    assert hopeless(worse, better, 0.1, 6) == 6
    assert hopeless(worse[:3], better, 0.2, 4) is None
    assert hopeless(better, worse, 0.1, 4) is None
    assert hopeless(worse, worse, 0.2, 4) is None, "an equal has no reason to stop"
    assert hopeless(worse[:4], better[:4], 0.1, 4) is None, "complete, not pruned"


def test_a_subject_that_outweighs_its_rank_spares_a_trial():
    """Four small losses and a gain of many clips: the ranks say stop, the sum says that UF1 rises."""
    opponent = np.stack([A_HALF] * 4 + [10 * A_HALF] + [A_HALF] * 6)
    mine = opponent - np.array([[1, -1, 0], [0, 0, 0], [0, 0, 0]])
    assert hopeless(mine, opponent, 0.2, 4) == 4
    mine[0] = 12 * PERFECT
    assert signed_rank_p(differences(mine[:7], opponent)) <= 0.2 and hopeless(mine, opponent, 0.2, 4) is None


@pytest.mark.parametrize("subjects, sizes", [(26, [4, 4, 8, 10]), (68, [4, 4, 8, 16, 32, 4]), (3, [3]), (8, [4, 4])])
def test_blocks_double(subjects, sizes):
    assert list(block_sizes(subjects)) == sizes


def test_the_imputed_value_is_the_opponents_and_what_would_be_lost():
    opponent = np.stack([PERFECT] * 8)
    one_wrong = opponent - np.array([[1, -1, 0], [0, 0, 0], [0, 0, 0]])
    lost = float(uf1(one_wrong.sum(0)) - uf1(opponent.sum(0)))
    assert imputed(1.0, one_wrong[:4], opponent) == pytest.approx(1 + lost, abs=0.01)
    assert imputed(0.4, opponent[:4], one_wrong) == 0.4, "a trial that stopped is no better than its opponent"
    assert imputed(0.1, np.stack([PERFECT[::-1]] * 4), opponent) == 0.0
