from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.questions.ablation import ablations
from analysis.questions.sensitivity import answer, table
from analysis.stats.bootstrap import DRAWS, bootstrap_t, draws, expanded_percentile, resampled, wilcoxon
from analysis.stats.inference import interval
from analysis.stats.metrics import accuracy, uf1
from analysis.tables import number


@pytest.fixture(scope="module")
def counts():
    generator = np.random.default_rng(8)
    truth = generator.integers(1, 8, (20, 3))
    made = np.zeros((20, 2, 3, 3), dtype=np.int64)
    for i, s, c in np.ndindex(20, 2, 3):
        made[i, s, c] = generator.multinomial(truth[i, c], np.eye(3)[c] * 0.4 + 0.2)
    return made


def statistic(counts):
    return lambda index, axis: uf1(counts[index].sum(-4)).mean(-1)


def test_draws_by_scipy_with_the_index_trick_give_the_same_error(counts):
    drawn = stats.bootstrap(
        (np.arange(20),), statistic(counts), n_resamples=9999, method="basic", rng=np.random.default_rng(0)
    )
    values, _ = resampled(counts, draws(20))
    assert values.std(ddof=1) == pytest.approx(drawn.standard_error, rel=0.06)


def test_expanded_percentile_by_scipy_at_the_wider_level(counts):
    tail = stats.norm.cdf(np.sqrt(20 / 19) * stats.t.ppf(0.025, 19))
    wide = stats.bootstrap(
        (np.arange(20),),
        statistic(counts),
        n_resamples=9999,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert expanded_percentile(counts, draws(20)) == pytest.approx((wide.low, wide.high), abs=0.012)


def test_errors_of_draws_by_hand(counts):
    """A draw is a data set of its own: repeat its subjects and take the jackknife, which the SE is near to."""
    drawn = draws(20)[:3]
    values, errors = resampled(counts, drawn)
    for weights, value, error in zip(drawn, values, errors, strict=True):
        again = np.repeat(counts, weights.astype(int), axis=0)
        assert value == pytest.approx(uf1(again.sum(0)).mean())
        left_out = [uf1(np.delete(again, i, 0).sum(0)).mean() for i in range(20)]
        assert error == pytest.approx(np.sqrt(19 * np.var(left_out)), rel=0.05)


def test_bootstrap_t_is_like_the_jackknife(counts):
    low, high = bootstrap_t(counts, draws(20))
    own = interval(counts)
    assert low < own.estimate < high and (low, high) == pytest.approx((own.low, own.high), abs=0.05)


def test_without_error_the_interval_is_a_point():
    same = np.tile(np.diag([2, 3]), (6, 1, 1, 1))
    assert bootstrap_t(same, draws(6)) == (1, 1) == expanded_percentile(same, draws(6))


def test_strata_keep_their_number():
    drawn = draws(9, [0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert drawn.shape == (DRAWS, 9) and (drawn[:, :4].sum(1) == 4).all() and (drawn[:, 4:].sum(1) == 5).all()


def test_wilcoxon_is_scipys_on_subject_accuracy(counts):
    other = counts[:, :, :, [1, 0, 2]]
    apart = np.round(accuracy(counts).mean(1) - accuracy(other).mean(1), 12)  # equal sizes are ties
    expected = stats.wilcoxon(apart, zero_method="pratt", method="approx").pvalue
    assert wilcoxon(counts, other) == pytest.approx(expected, abs=0.02)  # 20 subjects: the approximation is near
    assert wilcoxon(counts, counts) == 1


def right(hits, of=40):
    """Counts [N, 1, 2, 2] of subjects with so many of `of` clips right."""
    made = np.zeros((len(hits), 1, 2, 2), dtype=np.int64)
    made[:, 0, 0, 0], made[:, 0, 0, 1] = hits, of - np.asarray(hits)
    return made


def test_wilcoxon_is_exact_at_few_subjects():
    apart = [1, -2, 3, 4, 5, 6, 7]  # no ties: scipy's own exact distribution
    found = wilcoxon(right([20 + d for d in apart]), right([20] * 7))
    assert found == pytest.approx(stats.wilcoxon(apart, method="exact").pvalue)
    assert wilcoxon(right([21] * 5), right([20] * 5)) == 2 / 32  # all tied, all one way
    assert wilcoxon(right([21, 22, 20, 20, 20]), right([20] * 5)) == 2 / 4  # Pratt: only two can change sign


def test_all_methods_stand_side_by_side(simulate):
    found = ablations(simulate().results())[-1]
    made = table(found, ["toy"] * 12)
    rows = {row.cells[0].text: row.cells for row in made.rows}
    p, max_t, holm = (rows["regions=eyes"][i].values[0] for i in (4, 5, 6))
    assert p <= max_t and p <= holm and rows["null"][6].text == "–"
    assert answer(found, made).startswith(("No verdict", "Mostly"))
    assert "of a UF1 lie at most 0." in answer(found, made)


@pytest.mark.parametrize(
    ("column", "arm", "p", "said"),
    [
        (8, "depth=2", 0.01, "Wilcoxon's test would decide otherwise on depth=2. Holm's correction changes no"),
        (8, "input=gray", 0.157, "Wilcoxon's test would decide otherwise on input=gray."),
        (6, "input=gray", 0.157, "Holm's correction would decide otherwise on input=gray. Wilcoxon's test changes no"),
    ],
)
def test_the_answer_speaks_of_every_method(simulate, column, arm, p, said):
    found = ablations(simulate().results())[-1]
    made = table(found, ["toy"] * 12)
    rows = [
        replace(row, cells=(*row.cells[:column], number(p, 4), *row.cells[column + 1 :]))
        if row.cells[0].text == arm
        else row
        for row in made.rows
    ]
    assert said in answer(found, replace(made, rows=tuple(rows)))
