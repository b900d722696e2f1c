import sys
from dataclasses import replace

import pytest

from analysis import importance
from analysis.confusion import confusions
from analysis.importance import answer, importances, table


@pytest.fixture()
def results(simulate, monkeypatch):
    monkeypatch.setattr(importance, "TREES", 16)
    monkeypatch.setattr(importance, "SHUFFLES", 8)
    return simulate(search=16).results()


def test_a_real_factor_stands_above_the_noise(results):
    """Skill grows with the trial's number, as learning_rate does; depth alternates and means nothing."""
    pytest.importorskip("sklearn")
    found = importances(results, confusions(results))
    by_name = {one.factor: one for one in found.found}
    assert set(by_name) == {"depth", "learning_rate"} and found.trials == 14
    assert by_name["learning_rate"].above_noise and not by_name["depth"].above_noise
    assert by_name["learning_rate"].low <= by_name["learning_rate"].share <= by_name["learning_rate"].high
    assert "learning_rate" in answer(found) and "depth" not in answer(found)
    shown = table(found)
    assert "FanovaImportanceEvaluator" in shown.caption and "seed 0" in shown.caption
    assert "Noise floor: the largest share of any factor in 8 shuffles" in shown.caption
    assert answer(found).startswith("Above the noise floor, over each seed of the trials by itself: learning_rate")
    assert importances(results, confusions(results)) == found


def test_trials_of_one_seed_are_not_spread_over_seeds_of_their_own(results):
    pytest.importorskip("sklearn")
    rows = results.predictions
    trials = tuple(replace(trial, seeds=trial.seeds[:1]) for trial in results.trials)
    single = replace(results, predictions=rows[rows.seed == 7].reset_index(drop=True), trials=trials)
    found = importances(single, confusions(single))
    assert "over seeds of the forest (the trials have one seed): learning_rate" in answer(found)
    assert "every seed" not in answer(found) and "seeds of the forest" in table(found).caption


def test_too_few_trials_say_so(simulate):
    results = simulate(search=8).results()
    assert importances(results, confusions(results)) == (
        "fANOVA needs at least 10 complete trials, and the search has 6"
    )
    assert importances(simulate().results(), confusions(simulate().results())) is None


def test_without_scikit_learn_it_says_what_is_missing(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError):
        importances(results, confusions(results))
