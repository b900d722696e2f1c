"""Stages that follow from a search: the best on fresh seeds, then changes around the winner."""

import pytest

from analysis.report import report
from analysis.results import Results
from study.ledger import Ledger

SEARCH = {
    "design": "search",
    "proposals": 6,
    "startup": 3,
    "virtual_slots": 2,
    "factors": {"architecture": ["full_face", "fusion_intermediate"], "frames": [5, 6], "depth": [1]},
}
STAGES = {
    "search": SEARCH | {"proposals": 4},
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
def whole() -> dict[str, list[tuple]]:
    """The trials of the run that came first: all others must have them."""
    return {}


def test_search_confirm_ablate_each_on_seeds_of_its_own(small, whole):
    folder = small.run(stages=STAGES)
    found = trials(folder)
    whole["trials"] = found
    arms = {stage: list(dict.fromkeys(arm for s, arm, *_ in found if s == stage)) for stage in STAGES}
    assert arms["search"] == [None]
    assert arms["confirm"][0] == "baseline"
    assert len(arms["confirm"]) == 3
    assert all(arm.startswith("trial ") for arm in arms["confirm"][1:])
    assert arms["ablate"][0] == "winner"
    assert {"crop=28", "null"} <= set(arms["ablate"])
    seeds = [{seed for s, _, _, own, _ in found if s == stage for seed in own} for stage in STAGES]
    assert not seeds[0] & seeds[1] and not seeds[1] & seeds[2] and not seeds[0] & seeds[2]
    results = Results.load(folder)
    made = report(results)
    assert [stage.stage for stage in made.stages] == ["ablate", "confirm"]
    assert made.tables()[0].name == "confirm"  # the headline
    assert made.stages[0].baseline.arm.arm == "winner"
    assert made.selection.stage == "search"
    assert len(made.selection.tried) == 4
    small.run(stages=STAGES)
    assert trials(folder) == found


@pytest.mark.parametrize("stop", [2, 5, 9, 13])
def test_a_stopped_study_goes_on_at_its_first_unfinished_stage(small, whole, stop, monkeypatch):
    from study.agenda import Agenda

    take, seen = Agenda.take, []

    def stopped(self):
        seen.append(1)
        if len(seen) == stop:
            raise KeyboardInterrupt
        return take(self)

    monkeypatch.setattr(Agenda, "take", stopped)
    with pytest.raises(KeyboardInterrupt):
        small.run(stages=STAGES)
    monkeypatch.undo()
    assert trials(small.run(stages=STAGES)) == whole["trials"]
