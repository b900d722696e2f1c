"""Stages that follow from a search: the best on fresh seeds, then changes around the winner."""

from dataclasses import replace

import pytest

from analysis.questions.ablation import ablations
from analysis.report.report import report
from analysis.results.load import load_results
from study.ledger.writer import Ledger, Outcome
from study.planning.status import status
from study.scheduling.follow_up_stages import Following, arms_that_follow
from study.search.virtual_clock import Wait
from study.trials.subject_order import Course

COURSE = Course(("s0", "s1", "s2", "s3", "s4"), ("a", "b", "c"))
SEARCH = {
    "design": "search",
    "proposals": 4,
    "startup": 3,
    "virtual_slots": 2,
    "factors": {"architecture": ["full_face", "fusion_intermediate"], "frames": [5, 6], "depth": [1]},
}
STAGES = {
    "search": SEARCH,
    "confirm": {"design": "top", "best": 2, "seeds": 2},
    "ablate": {"design": "one_at_a_time", "around": "winner", "seeds": 2, "vary": {"crop": [28]}, "controls": ["null"]},
}


def trials(folder) -> list[tuple]:
    with Ledger(folder) as ledger:
        return [
            (t.stage, t.arm, t.config.key(), t.seeds, ledger.outcome(t.number).state)
            for stage in STAGES
            for t in [p.trial for p in ledger.proposals(stage)]
        ]


@pytest.fixture(scope="module")
def whole(unbroken) -> list[tuple]:
    """The trials of an unbroken run."""
    return trials(unbroken(stages=STAGES).folder)


def test_search_confirm_ablate_each_on_seeds_of_its_own(small, whole):
    folder = small.run(stages=STAGES)
    found = trials(folder)
    assert found == whole
    arms = {stage: list(dict.fromkeys(arm for s, arm, *_ in found if s == stage)) for stage in STAGES}
    assert arms["search"] == [None]
    assert arms["confirm"][0] == "baseline"
    assert len(arms["confirm"]) == 3
    assert all(arm.startswith("trial ") for arm in arms["confirm"][1:])
    assert arms["ablate"][0] == "winner"
    assert {"crop=28", "null"} <= set(arms["ablate"])
    seeds = [{seed for s, _, _, own, _ in found if s == stage for seed in own} for stage in STAGES]
    assert not seeds[0] & seeds[1] and not seeds[1] & seeds[2] and not seeds[0] & seeds[2]
    results = load_results(folder)
    made = report(results)
    assert [stage.stage for stage in made.stages] == ["ablate", "confirm"]
    assert made.tables()[0].name == "confirm"  # the headline
    assert made.stages[0].baseline.arm.arm == "winner"
    assert made.selection.stage == "search"
    assert len(made.selection.tried) == 4
    assert status(folder).to_do == 0
    small.run(stages=STAGES)
    assert trials(folder) == found


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 5, 9, 13])
def test_a_stopped_study_goes_on_at_its_first_unfinished_stage(small, whole, stop, monkeypatch):
    from study.scheduling.scheduler import Scheduler

    take, seen = Scheduler.take, []

    def stopped(self):
        seen.append(1)
        if len(seen) == stop:
            raise KeyboardInterrupt
        return take(self)

    monkeypatch.setattr(Scheduler, "take", stopped)
    with pytest.raises(KeyboardInterrupt):
        small.run(stages=STAGES)
    monkeypatch.undo()
    assert trials(small.run(stages=STAGES)) == whole


@pytest.fixture
def spec(tmp_path, small):
    return small.prepared(stages=STAGES).spec


def settled(spec, ledger, *values: float | None) -> list[int]:
    """Proposals of a search that ended with these UF1, None: failed; and their trials."""
    numbers = []
    for number, value in enumerate(values):
        config = replace(spec.baseline_config(), frames=5 + number // 2, hidden=8 + number)
        trial = ledger.propose("search", None, config, (1000,), {"frames": 5 + number})
        ledger.settle(trial.number, Outcome("failed" if value is None else "complete", 5, value))
        numbers.append(trial.number)
    return numbers


def following(spec, ledger) -> Following:
    return Following("confirm", spec, ledger, COURSE, lambda config: 1.0, lambda arms: None)


def names(spec, ledger) -> list[str]:
    return [arm.name for arm, _ in arms_that_follow("confirm", spec, ledger, COURSE)]


def test_the_best_are_taken_ties_to_the_lower_number_and_the_baseline_once(tmp_path, spec):
    with Ledger(tmp_path / "l") as ledger:
        trials = settled(spec, ledger, 0.9, 0.5, 0.7, 0.7, 0.6)  # the first is the baseline but for `frames`
        assert names(spec, ledger) == []
        following(spec, ledger).next()
        assert names(spec, ledger) == ["baseline", f"trial {trials[0]}", f"trial {trials[2]}"]


def test_a_failed_trial_that_is_run_again_changes_no_arm_of_a_stage_that_has_begun(tmp_path, spec):
    with Ledger(tmp_path / "l") as ledger:
        trials = settled(spec, ledger, 0.4, None, 0.6)
        following(spec, ledger).next()
        before = names(spec, ledger)
        ledger.settle(trials[1], Outcome("complete", 5, 0.99))
        following(spec, ledger).next()
        assert names(spec, ledger) == before == ["baseline", f"trial {trials[2]}", f"trial {trials[0]}"]


def test_a_stage_waits_for_the_trials_before_it(tmp_path, spec):
    with Ledger(tmp_path / "l") as ledger:
        (first, *_) = settled(spec, ledger, 0.4, 0.6)
        attempt = ledger.attempt(first)
        with pytest.raises(Wait):
            following(spec, ledger).next()
        ledger.end_attempt(attempt)
        assert following(spec, ledger).next() is not None


def test_an_arm_that_is_impossible_around_the_winner_is_a_row_with_its_reason(small):
    ablate = {"design": "listed", "around": "winner", "seeds": 1, "arms": {"long kernel": {"kernel_time": 63}}}
    folder = small.run(stages={"search": SEARCH, "ablate": ablate})
    (found,) = ablations(load_results(folder))
    (gap,) = [finding.gap for finding in found.findings if finding.arm.arm == "long kernel"]
    assert gap.state == "impossible"
    assert "kernel_time: 63 frames do not fit" in gap.reason
