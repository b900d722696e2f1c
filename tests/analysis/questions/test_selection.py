import numpy as np
import pytest
from scipy import stats

from analysis.questions.selection import answer, select, table
from analysis.stats import bbc as correction
from analysis.stats.bbc import Choice, bbc, leave_subject_out, moved, recentred
from analysis.stats.confusion import confusions
from analysis.stats.inference import Interval, compare
from analysis.stats.metrics import uf1
from search_spaces.digests import stream


def candidates(many, subjects=8, seeds=2, key=0):
    generator = np.random.default_rng([key, many])
    truth = generator.integers(1, 5, (subjects, 3))
    counts = np.zeros((many, subjects, seeds, 3, 3), dtype=np.int64)
    for m, i, s, c in np.ndindex(many, subjects, seeds, 3):
        counts[m, i, s, c] = generator.multinomial(truth[i, c], np.eye(3)[c] * 0.4 + 0.2)
    return counts


@pytest.mark.parametrize("at_once", [2, 200])
def test_bbc_by_brute_force(monkeypatch, at_once):
    monkeypatch.setattr(correction, "DRAWS", 50)
    monkeypatch.setattr(correction, "_AT_ONCE", at_once)
    counts = candidates(5)
    generator = np.random.Generator(np.random.Philox(stream("analysis", "subject bootstrap", 8)))
    pooled, base, wins = np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), []
    for drawn in generator.multinomial(8, np.full(8, 1 / 8), 50):
        scores = [np.mean([uf1((drawn[:, None, None] * one[:, s]).sum(0)) for s in range(2)]) for one in counts]
        wins.append(int(np.argmax(scores)))
        pooled += counts[wins[-1]][drawn == 0].sum(0)
        base += counts[1][drawn == 0].sum(0)
    best = int(np.argmax([uf1(one.sum(0)).mean() for one in counts]))
    corrected, again = np.mean(uf1(pooled)), np.mean(np.array(wins) == best)
    assert bbc(counts) == Choice(best, pytest.approx(corrected), again, 0.0)
    assert bbc(counts, baseline=1).difference == pytest.approx(corrected - np.mean(uf1(base)))


def test_copies_of_one_configuration_have_no_optimism_and_the_first_wins():
    one = candidates(1, subjects=20)
    found = bbc(np.repeat(one, 4, axis=0), baseline=2)
    assert (found.best, found.again) == (0, 1) and found.difference == pytest.approx(0)
    assert found.corrected == pytest.approx(uf1(one[0].sum(0)).mean(), abs=0.01)
    assert leave_subject_out(np.repeat(one, 4, axis=0)) == pytest.approx(uf1(one[0].sum(0)).mean())


def test_leave_subject_out_by_brute_force():
    counts = candidates(6)
    pooled = np.zeros((2, 3, 3))
    for i in range(8):
        scores = [uf1(np.delete(one, i, 0).sum(0)).mean() for one in counts]
        pooled += counts[int(np.argmax(scores)), i]
    assert leave_subject_out(counts) == pytest.approx(uf1(pooled).mean())


def test_recentred_interval_by_hand():
    se = 0.05 * np.sqrt(0.6 * 0.4 / (0.65 * 0.35))
    half = stats.t.ppf(0.975, 15) * se / (0.6 * 0.4)
    logits = np.log(0.6 / 0.4) + np.array([-half, half])
    naive = Interval(0.65, 0.55, 0.74, 0.05, "jackknife, logit", 0)
    assert recentred(0.6, naive, 16) == pytest.approx(tuple(1 / (1 + np.exp(-logits))))
    assert recentred(1.0, naive, 16) == (0.0, 1.0)


def test_a_perfect_winner_has_no_error_but_an_interval(simulate):
    """A naive UF1 of 1 has SE 0: the corrected interval is no point below it."""
    perfect = Interval(1.0, 0.79, 1.0, 0.0, "exact binomial", 0)
    assert recentred(0.97, perfect, 16) == (0.79, 1.0) and recentred(0.7, perfect, 16) == (0.7, 1.0)
    results = simulate(search=8).results()
    rows = results.predictions
    rows.loc[rows.trial == 7, "y_pred"] = rows.y_true
    found = select(results, confusions(results))
    assert found.winner == "trial 7" and found.naive.se == 0
    assert found.corrected[1] <= found.naive.low < 1 and found.corrected[2] == 1
    assert any("no error of its own" in note for note in table(found).notes)


def test_all_candidates_are_scored_on_the_seeds_they_share(simulate, arm):
    arms = (arm("one", 0.7), arm("two", 0.4), arm("best", 0.9, seeds=(2, 3)), arm("four", 0.5, seeds=(1, 2, 3, 4)))
    results = simulate(arms).results()
    found = select(results, confusions(results))
    assert (found.winner, found.candidates) == ("arm 'best'", 4)
    assert "3 of them have further seeds: all are scored on the common ones (2, 3)." in table(found).caption


def test_without_a_shared_seed_the_usual_number_decides_and_a_tie_takes_more(simulate, arm):
    arms = (arm("a", 0.7, seeds=(1,)), arm("b", 0.4, seeds=(2, 3)), arm("c", 0.9, seeds=(4,)))
    for order in (arms, arms[::-1]):
        results = simulate((*order, arm("d", 0.5, seeds=(5, 6)))).results()
        found = select(results, confusions(results))
        assert (found.winner, found.candidates) == ("arm 'd'", 2)
        assert "2 complete ones are left out: they have another number of seeds than 2." in table(found).caption


def test_noise_is_taken_away():
    """Thirty equal configurations: the naive best is too high, the corrected one is not."""
    naive, corrected = [], []
    for key in range(20):
        counts = candidates(30, subjects=16, seeds=1, key=key)
        found = bbc(counts)
        naive.append(uf1(counts[found.best].sum(0)).mean() - 0.6)
        corrected.append(found.corrected - 0.6)
    assert np.mean(naive) > 0.04 and abs(np.mean(corrected)) < 0.02


def test_k_counts_pruned_and_failed_but_they_are_not_chosen(simulate):
    results = simulate(search=8).results()
    found = select(results, confusions(results))
    assert (len(found.tried), found.candidates, found.winner) == (8, 6, "trial 7")
    assert found.corrected[0] < found.naive.estimate and found.corrected[1] < found.corrected[0] < found.corrected[2]
    shown = table(found)
    assert shown.caption.startswith("K = 8 configurations tried (6 complete, 1 failed, 1 pruned), 6 of them candidates")
    assert shown.rows[0].cells[1].text == f"{found.naive.estimate:.3f}" and "best of 8" in answer(found)


def test_the_difference_to_the_baseline_is_corrected_and_tested_with_all_candidates(simulate):
    results = simulate(search=8).results()
    counted = confusions(results)
    found = select(results, counted)
    names = [trial.trial for trial in results.trials if trial.complete and trial.arm is None]
    counts = {number: counted.of([number]) for number in names}
    lost = sum(trial.arm is None and not trial.complete for trial in results.trials)
    others = {str(n): counts[n] for n in names[1:]}
    every = compare(counts[names[0]], others, others, missing=lost)
    assert lost and found.beating == tuple(f"trial {n}" for n in others if every[n].p_adjusted <= 0.05)
    assert found.p == every["7"].p_adjusted >= every["7"].p
    low, high = moved(found.difference[0], every["7"])
    assert found.difference == (bbc(np.stack(list(counts.values())), 0).difference, low, high)
    assert found.difference[0] < every["7"].difference
    shown = table(found)
    assert f"the share of the level of {lost} more that were tried" in shown.notes[1]
    assert shown.rows[1].cells[2].values == found.difference and "max-T over all candidates: p" in answer(found)


def test_arms_without_a_baseline_are_a_choice_too(simulate, arm):
    results = simulate((arm("one", 0.7), arm("two", 0.4), arm("cut", 0.9, states={2: "failed"}))).results()
    found = select(results, confusions(results))
    assert (len(found.tried), found.candidates, found.winner) == (3, 2, "arm 'one'")


def test_no_choice_no_correction(simulate):
    results = simulate().results()
    assert select(results, confusions(results)) is None
    one = simulate(search=1).results()
    assert select(one, confusions(one)) is None
