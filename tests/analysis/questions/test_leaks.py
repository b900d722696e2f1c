"""A control of shuffled labels: by hand, and in simulated studies with and without a leak."""

import os

import numpy as np
import pytest
from scipy import stats

from analysis.questions.ablation import ablations
from analysis.questions.leaks import P, Shuffled
from analysis.questions.main_table import headline
from analysis.stats.metrics import uf1
from benchmarks.score_tables import TABLES

STUDIES = 1000 if os.environ.get("LOSOLAB_SOAK") else 100
SETS = {"SMIC": TABLES[:1], "CASME II": TABLES[1:2], "SAMM": TABLES[2:], "composite": TABLES}


def test_by_hand_with_the_labels_of_each_dataset_exchanged():
    counts = np.random.default_rng(1).multinomial(6, np.full(9, 1 / 9), (8, 5)).reshape(8, 5, 3, 3)
    found = Shuffled.of(counts, ["a"] * 5 + ["b"] * 3)
    parts = [counts[:5].sum(0), counts[5:].sum(0)]
    expected = sum(p.sum(-1)[:, :, None] * p.sum(-2)[:, None, :] / p.sum((-2, -1), keepdims=True) for p in parts)
    assert found.uf1 == pytest.approx(uf1(counts.sum(0)).tolist())
    assert found.chance == pytest.approx(uf1(expected).tolist())
    above = np.subtract(found.uf1, found.chance)
    assert found.p == pytest.approx(stats.ttest_1samp(above, 0, alternative="greater").pvalue)


def test_fewer_than_five_seeds_decide_nothing_and_one_answer_for_all_is_no_leak():
    right = np.zeros((6, 5, 2, 2), int)
    right[:, :, [0, 1], [0, 1]] = 4
    assert Shuffled.of(right, ["a"] * 6).leaks and Shuffled.of(right, ["a"] * 6).verdict == "ABOVE CHANCE"
    few = Shuffled.of(right[:, :4], ["a"] * 6)
    assert few.p is None and not few.leaks and few.verdict == "undecided: fewer than 5 seeds"
    one = np.zeros((6, 5, 2, 2), int)
    one[:, :, :, 0] = 4
    assert Shuffled.of(one, ["a"] * 6).p == 1 and Shuffled.of(one, ["a"] * 6).verdict == "not above chance"


def test_it_needs_no_seed_of_the_baseline_and_permuted_labels_raise_no_alarm(simulate, arm):
    arms = (
        arm("baseline", 0.7),
        arm("shuffled_labels", 0.0, {"control": "shuffled_labels"}, seeds=(1, 2, 3, 4, 5)),
        arm("permuted_labels", 0.5, {"control": "permuted_labels"}),
    )
    results = simulate(arms).results()
    (found,) = ablations(results)
    shuffled, permuted = found.findings[1:]
    assert shuffled.gap is None and shuffled.comparison is None and shuffled.shuffled.verdict == "not above chance"
    assert found.above_chance() == () and permuted.score.interval.low > permuted.score.chance
    table = headline(results, found)
    assert any("shuffled_labels is the control that finds leaks" in note for note in table.notes)
    assert any(note.startswith("shuffled_labels: UF1 less chance by seed") for note in table.notes)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_false_alarms(name):
    """Upper 95 % bound of their share at most .07 in the soak, of a linear classifier without any leak."""
    alarms = sum(linear_study(SETS[name], key).leaks for key in range(STUDIES))
    low, high = stats.binomtest(alarms, STUDIES).proportion_ci(0.95)
    print(f"\n  {name}: {alarms} false alarms in {STUDIES} studies, [{low:.3f}, {high:.3f}], nominal {P}")
    assert high <= 0.07 if STUDIES == 1000 else low <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("share", "least"), [(0.1, 0.6), (0.2, 0.9)])
def test_a_leak_is_found(share, least):
    studies = STUDIES // 5
    found = np.mean([linear_study(TABLES, key, share).leaks for key in range(studies)])
    print(f"\n  a leak of {share:.0%} of the clips, 68 subjects: found in {found:.2f} of {studies} studies")
    assert found >= least


def linear_study(tables, key, leak=0.0, seeds=5, size=8) -> Shuffled:
    """LOSO of a linear classifier on Gaussian features whose training labels are shuffled, by fold and seed.

    leak: share of the clips whose label gets to their prediction whatever was trained.
    """
    generator = np.random.default_rng([key, len(tables)])
    clips = np.concatenate(tables)
    truth = np.concatenate([np.repeat(np.arange(3), row) for row in clips])
    who = np.repeat(np.arange(len(clips)), clips.sum(1))
    features = generator.normal(size=(3, size))[truth] + generator.normal(size=(len(clips), size))[who]
    features = np.c_[features + generator.normal(size=(len(truth), size)), np.ones(len(truth))]
    counts = np.zeros((len(clips), seeds, 3, 3), int)
    for seed in range(seeds):
        predicted = np.empty_like(truth)
        for subject in range(len(clips)):
            trained = who != subject
            labels = generator.permutation(truth[trained])
            weighted = features[trained] / np.bincount(labels, minlength=3)[labels][:, None]
            solved = np.linalg.solve(
                features[trained].T @ weighted + 1e-3 * np.eye(size + 1), weighted.T @ np.eye(3)[labels]
            )
            predicted[~trained] = (features[~trained] @ solved).argmax(1)
        known = generator.random(len(truth)) < leak
        np.add.at(counts, (who, seed, truth, np.where(known, truth, predicted)), 1)
    datasets = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return Shuffled.of(counts, [str(dataset) for dataset in datasets])
