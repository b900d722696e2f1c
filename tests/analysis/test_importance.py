import sys

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
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    found = importances(results, confusions(results))
    by_name = {one.factor: one for one in found.found}
    assert set(by_name) == {"depth", "learning_rate"} and found.trials == 14
    assert by_name["learning_rate"].above_noise and not by_name["depth"].above_noise
    assert by_name["learning_rate"].low <= by_name["learning_rate"].share <= by_name["learning_rate"].high
    assert "learning_rate" in answer(found) and "depth" not in answer(found)
    shown = table(found)
    assert "FanovaImportanceEvaluator" in shown.caption and "seed 0" in shown.caption
    assert importances(results, confusions(results)) == found


def test_too_few_trials_say_nothing(simulate):
    results = simulate(search=8).results()
    assert importances(results, confusions(results)) is None


def test_without_optuna_it_says_what_is_missing(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModuleNotFoundError):
        importances(results, confusions(results))
