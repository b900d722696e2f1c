"""Proposals: the same whatever the workers, replayed after a crash, never infeasible, never twice."""

from typing import get_args

import pytest
import yaml

from search_spaces.config import architecture
from search_spaces.spec import Search, StudySpec
from search_spaces.study_file import load_study
from study.ledger.writer import Ledger, Outcome
from study.models.geometry import geometry
from study.planning.plan import fold_cost, problems_of
from study.search.proposals import Proposals
from study.search.virtual_clock import Wait
from study.trials.subject_order import Course

BASE = {
    "name": "x",
    "dataset": {"path": "clips"},
    "baseline": {"architecture": "fusion_intermediate", "frames": 8, "crop": 32, "kernel_time": 3, "filters": 4},
}
COURSE = Course(("s0", "s1", "s2", "s3", "s4"), ("a", "b", "c"))


def study(tmp_path, **design):
    path = tmp_path / "study.yaml"
    stages = {"search": {"design": "search", "startup": 4, "virtual_slots": 2, "race": "none", **design}}
    path.write_text(yaml.safe_dump({**BASE, "stages": stages}))
    return load_study(path)


def proposals(spec, ledger):
    return Proposals("search", spec, ledger, COURSE, lambda config: fold_cost(config, 25, 3), problems_of)


def score(trial):
    """A made-up UF1 that prefers depth 2 and a learning rate near .03."""
    return 0.5 + 0.1 * (trial.config.depth == 2) - abs(trial.config.learning_rate - 0.03)


def drain(source, ledger, most=None):
    trials = []
    while (most is None or len(trials) < most) and (trial := source.next()) is not None:
        ledger.settle(trial.number, Outcome("complete", 5, score(trial)))
        trials.append(trial)
    return trials


PROPOSED = [(1, 8, 32), (3, 6, 32), (3, 12, 24), (1, 12, 24), (3, 12, 32), (2, 8, 32), (2, 8, 24), (1, 12, 32)]
SPACE = {
    "architecture": ["full_face", "fusion_intermediate", "fusion_late"],
    "depth": [1, 2],
    "learning_rate": {"low": 0.001, "high": 0.1, "log": True},
}


# Gaussian processes are fitted for seconds: one stop of theirs in the quick suite.
STOPPED = [
    pytest.param(sampler, stop, marks=[pytest.mark.slow] if sampler == "gp" and stop != 3 else [])
    for sampler in get_args(Search.model_fields["sampler"].annotation)
    for stop in (0, 1, 3, 7, 11)
]


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "stop"), STOPPED)
def test_a_resumed_search_proposes_what_an_unbroken_one_does(tmp_path, sampler, stop):
    spec = study(tmp_path, proposals=14, factors=SPACE, sampler=sampler)
    with Ledger(tmp_path / "whole") as ledger:
        whole = [t.config for t in drain(proposals(spec, ledger), ledger)]
    with Ledger(tmp_path / "broken") as ledger:
        first = drain(proposals(spec, ledger), ledger, stop)
    with Ledger(tmp_path / "broken") as ledger:
        rest = drain(proposals(spec, ledger), ledger)
        assert [t.config for t in [*first, *rest]] == whole
        assert [p.trial.config for p in ledger.proposals("search")] == whole


def test_the_baseline_comes_first_and_no_configuration_twice(tmp_path):
    spec = study(tmp_path, proposals=14, factors=SPACE)
    with Ledger(tmp_path / "l") as ledger:
        trials = drain(proposals(spec, ledger), ledger)
    assert trials[0].config == spec.baseline_config()
    assert len({t.config.key() for t in trials}) == 14


def test_nobody_waits_for_a_trial_that_is_known_to_end_later(tmp_path):
    spec = study(tmp_path, proposals=14, factors=SPACE)
    with Ledger(tmp_path / "l") as ledger:
        source = proposals(spec, ledger)
        two = [source.next(), source.next()]
        cheap, dear = sorted(two, key=lambda trial: fold_cost(trial.config, 25, 3))
        with pytest.raises(Wait):
            source.next()
        ledger.settle(cheap.number, Outcome("complete", 5, 0.5))
        assert source.next() is not None, f"nothing of {dear.number} is trained, and it ends after {cheap.number}"


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_several_objectives_are_told_and_replayed_without_a_race(tmp_path, sampler):
    path, objectives = tmp_path / "study.yaml", ["uf1", "parameters", "multiply_adds"]
    search = {"design": "search", "startup": 4, "virtual_slots": 2, "proposals": 9, "factors": SPACE}
    stages = {"search": search | {"objectives": objectives, "sampler": sampler}}
    path.write_text(yaml.safe_dump({**BASE, "stages": stages}))
    spec = load_study(path)
    assert spec.stages["search"].race == "none"
    assert StudySpec.model_validate(spec.model_dump(mode="json", exclude_none=True)) == spec
    with Ledger(tmp_path / "whole") as ledger:
        source = proposals(spec, ledger)
        whole = drain(source, ledger)
        first = source.study.trials[0]
        layers = geometry(whole[0].config, 3)
        assert first.values == [score(whole[0]), layers.parameters, layers.multiply_adds]
    with Ledger(tmp_path / "broken") as ledger:
        drain(proposals(spec, ledger), ledger, 6)
    with Ledger(tmp_path / "broken") as ledger:
        drain(proposals(spec, ledger), ledger)
        assert [p.trial.config for p in ledger.proposals("search")] == [t.config for t in whole]


def test_what_optuna_was_told_never_changes(tmp_path):
    spec = study(tmp_path, proposals=14, factors=SPACE)
    with Ledger(tmp_path / "l") as ledger:
        source = proposals(spec, ledger)
        drain(source, ledger, 6)
        told = ledger.db.execute("select * from told order by trial").fetchall()
        assert 0 < len(told) < 6
        ledger.settle(told[0]["trial"], Outcome("complete", 5, 0.123))
        drain(proposals(spec, ledger), ledger)
        after = ledger.db.execute("select * from told order by trial").fetchall()
        assert [tuple(row) for row in after[: len(told)]] == [tuple(row) for row in told]


def test_a_finite_space_that_is_used_up_ends_the_search(tmp_path):
    spec = study(tmp_path, proposals=50, factors={"depth": [1, 2], "frames": [6, 8]})
    with Ledger(tmp_path / "l") as ledger:
        source = proposals(spec, ledger)
        assert len(drain(source, ledger)) == 4
        assert source.next() is None


def test_three_factors_of_three_levels_end_after_27_trials_each_once(tmp_path):
    spec = study(tmp_path, proposals=60, factors={"depth": [1, 2, 3], "frames": [8, 12, 16], "crop": [32, 48, 64]})
    with Ledger(tmp_path / "l") as ledger:
        trials = drain(proposals(spec, ledger), ledger)
    assert len(trials) == 27
    assert len({trial.config.key() for trial in trials}) == 27


def test_known_configurations_come_first_each_once(tmp_path):
    known = [{"depth": 2}, {"depth": 1}, {"architecture": "full_face", "learning_rate": 0.05}]  # the second: baseline
    spec = study(tmp_path, proposals=6, factors=SPACE, known=known)
    with Ledger(tmp_path / "l") as ledger:
        trials = drain(proposals(spec, ledger), ledger)
    first = [(architecture(t.config), t.config.depth, t.config.learning_rate) for t in trials[:3]]
    assert first == [("fusion_intermediate", 1, 0.01), ("fusion_intermediate", 2, 0.01), ("full_face", 1, 0.05)]


def test_a_pruned_trial_is_told_as_imputed_and_is_nobodys_opponent(tmp_path):
    spec = study(tmp_path, proposals=6, factors=SPACE)
    with Ledger(tmp_path / "l") as ledger:
        source = proposals(spec, ledger)
        for number in range(6):
            trial = source.next()
            outcome = Outcome("complete", 5, 0.4) if number == 0 else Outcome("pruned", 4, 0.5)
            ledger.settle(trial.number, outcome)
        assert {(t.state.name, t.value) for t in source.study.trials[:4]} == {("COMPLETE", 0.4), ("COMPLETE", 0.5)}
        assert ledger.told(2) == Outcome("pruned", 4, 0.5)
        assert source.best[0].number == 1


def test_a_failed_trial_is_tried_again_and_changes_no_later_proposal(tmp_path):
    spec = study(tmp_path, proposals=10, factors=SPACE)

    def first_half(ledger):
        source = proposals(spec, ledger)
        for number in range(6):
            trial = source.next()
            failed = number == 1
            outcome = Outcome("failed", 2, None, "disk full") if failed else Outcome("complete", 5, score(trial))
            ledger.settle(trial.number, outcome)

    with Ledger(tmp_path / "unbroken") as ledger:
        first_half(ledger)
        source = proposals(spec, ledger)
        source.next()  # the failed one, left as it is
        rest = drain(source, ledger)
    with Ledger(tmp_path / "again") as ledger:
        first_half(ledger)
        again = drain(proposals(spec, ledger), ledger)
        assert again[0].number == 2
        assert ledger.outcome(2).state == "complete"
        assert [t.config for t in again[1:]] == [t.config for t in rest]
        assert ledger.told(2).state == "failed"


def test_a_search_proposes_what_it_always_did(tmp_path):
    """Ledgers hold searches that go on: new factors, and new fields of a search, may not change their streams."""
    spec = study(tmp_path, proposals=8, factors={"depth": [1, 2, 3], "frames": [6, 8, 12], "crop": [24, 32]})
    with Ledger(tmp_path / "l") as ledger:
        trials = drain(proposals(spec, ledger), ledger)
    found = [(t.config.depth, t.config.frames, t.config.crop) for t in trials]
    assert found == PROPOSED


def test_what_cannot_be_built_is_never_proposed_and_rejected_asks_are_kept(tmp_path):
    factors = {"frames": [4, 6, 8, 16, 24], "kernel_time": [3, 5, 7, 15, 19], "crop": [24, 32]}
    spec = study(tmp_path, proposals=20, factors=factors)
    with Ledger(tmp_path / "l") as ledger:
        trials = drain(proposals(spec, ledger), ledger)
        rejected = [levels for p in ledger.proposals("search") for levels in p.rejected]
    assert len(trials) == 20
    assert not [t for t in trials if problems_of(t.config)]
    assert rejected, "the case tests nothing"
    with Ledger(tmp_path / "half") as ledger:
        drain(proposals(spec, ledger), ledger, 9)
    with Ledger(tmp_path / "half") as ledger:
        drain(proposals(spec, ledger), ledger)
        assert [p.trial.config for p in ledger.proposals("search")] == [t.config for t in trials]


def test_failed_trials_are_told_as_failed_and_the_search_goes_on(tmp_path):
    spec = study(tmp_path, proposals=8, factors=SPACE)
    with Ledger(tmp_path / "l") as ledger:
        source, numbers = proposals(spec, ledger), []
        while (trial := source.next()) is not None:
            ledger.settle(trial.number, Outcome("failed", 0, None, "diverged"))
            numbers.append(trial.number)
        assert len(numbers) == 8
        assert {row["state"] for row in ledger.db.execute("select state from told")} == {"failed"}


def test_a_factor_without_effect_is_not_asked_for(tmp_path):
    spec = study(tmp_path, proposals=12, factors={"head": ["flatten", "pool"], "grid": [2, 3, 4], "depth": [1, 2]})
    with Ledger(tmp_path / "l") as ledger:
        trials = drain(proposals(spec, ledger), ledger)
        asked = [p.levels for p in ledger.proposals("search")]
    assert all(("grid" in levels) == (levels["head"] == "pool") for levels in asked)
    assert len(trials) == 2 + 2 * 3


RANGES = {
    "frames": {"low": 8, "high": 32, "step": 8},
    "epochs": {"low": 1, "high": 1000, "log": True},
    "dropout": {"low": 0, "high": 0.95},
    "learning_rate": {"low": 1e-3, "high": 10, "log": True},
}


@pytest.mark.parametrize("sampler", get_args(Search.model_fields["sampler"].annotation))
def test_proposals_stay_within_the_ranges(tmp_path, sampler):
    spec = study(tmp_path, proposals=7, factors=RANGES, sampler=sampler)
    with Ledger(tmp_path / "l") as ledger:
        tried = [trial.config for trial in drain(proposals(spec, ledger), ledger)]
    assert {config.frames for config in tried} <= {8, 16, 24, 32}
    assert all(type(config.epochs) is int for config in tried)
    for name, ends in RANGES.items():
        levels = [getattr(config, name) for config in tried]
        assert ends["low"] <= min(levels) < max(levels) <= ends["high"]


def test_a_search_of_whole_numbers_alone_ends_when_all_were_tried(tmp_path):
    spec = study(tmp_path, proposals=60, factors={"frames": RANGES["frames"], "depth": {"low": 1, "high": 2}})
    with Ledger(tmp_path / "l") as ledger:
        trials = drain(proposals(spec, ledger), ledger)
    assert len({trial.config.key() for trial in trials}) == len(trials) == 8
