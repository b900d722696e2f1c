import sys
from dataclasses import replace

import pytest

from analysis.questions import importance
from analysis.questions.importance import answer, importances, table
from analysis.stats.confusion import confusions


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
    assert answer(found).startswith("Above the noise floor: learning_rate")
    assert importances(results, confusions(results)) == found


def test_the_spread_is_over_subjects_and_the_floor_is_one_for_all_factors(results, monkeypatch):
    """Of as many draws the widest; trials of one seed have a spread, too. The race is told of."""
    pytest.importorskip("sklearn")
    rows = results.predictions
    trials = tuple(replace(trial, seeds=trial.seeds[:1]) for trial in results.trials)
    single = replace(results, predictions=rows[rows.seed == 7].reset_index(drop=True), trials=trials)
    monkeypatch.setattr(importance, "DRAWS", 3)
    few = {one.factor: one for one in importances(single, confusions(single)).found}
    monkeypatch.setattr(importance, "DRAWS", 6)
    found = importances(single, confusions(single))
    assert len({one.floor for one in found.found}) == 1 and "The race stopped 1 trial, whose" in table(found).caption
    for one in found.found:
        assert one.low <= few[one.factor].low <= one.share <= few[one.factor].high <= one.high
        assert one.low < one.high and one.above_noise == (one.share > one.floor)


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
