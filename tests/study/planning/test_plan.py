"""The plan: what it promises is what is trained, and what cannot be built is refused before anything starts."""

import pytest

from search_spaces.errors import UserError
from search_spaces.study_file import READY, load_study
from study.data import readers
from study.ledger.schema import read_only
from study.planning.cost_model import Costs
from study.planning.plan import make_plan

DATA = readers.read("synthetic", None, {"subjects": 6, "clips": 4})


def plan(path=READY / "default.yaml", **parts):
    return make_plan(load_study(path, parts), DATA, Costs())


def test_counts_are_those_of_the_study(small):
    promised = small.prepared().plan
    assert (promised.trials, promised.folds) == (12 + 4 * 2, (12 + 4 * 2) * 5)
    small.run()
    with read_only(small.folder) as db:
        assert db.execute("select count(*) from proposal").fetchone()[0] == promised.trials
        assert db.execute("select count(*) from fold").fetchone()[0] == promised.folds


@pytest.mark.parametrize("path", sorted(READY.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_ready_study_has_a_cell_that_cannot_be_built(path):
    promised = plan(path)
    assert promised.arms or promised.open
    assert all(search.feasible == search.sampled for search in promised.searches)


def test_parameters_are_the_papers():
    arms = {arm.name: cost.parameters for arm, cost in plan(baseline={"architecture": "full_face"}, stages=OAT).arms}
    assert arms == {
        "baseline": 1_643_267,
        "architecture=fusion_intermediate": 6_694_915,
        "architecture=fusion_late": 6_827_523,
    }


OAT = {"ablate": {"design": "one_at_a_time", "vary": {"architecture": ["fusion_intermediate", "fusion_late"]}}}


def test_every_cell_that_cannot_be_built_is_named():
    stages = {"ablate": {"design": "factorial", "factors": {"kernel_time": [3, 15, 19], "frames": [8, 24]}}}
    with pytest.raises(UserError) as refused:
        plan(stages=stages)
    cells = {problem.split(": ")[0] for problem in refused.value.problems}
    assert cells == {f"ablate, arm frames=8, kernel_time={time}" for time in (15, 19)}
    assert all("kernel_time" in problem and "at most 6" in problem for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ([{"frames": 99}], r"stages\.search\.factors: must hold those of known\[0\], .*: frames=99"),
        ([{"depth": 1}, {"crop": 48}], r"stages\.search\.known\[1\]: crop: no factors of this search"),
        ([{"frames": 6, "kernel_time": 7}], r"stages\.search\.known\[0\]: kernel_time: 7 frames do not fit"),
    ],
)
def test_known_configurations_must_be_in_the_space_and_possible(known, words):
    factors = {"depth": [1, 2], "frames": [6, 8], "kernel_time": [3, 7]}
    search = {"design": "search", "proposals": 3, "factors": factors, "known": known}
    with pytest.raises(UserError, match=words):
        plan(stages={"search": search})


def test_a_stage_that_follows_is_planned_with_at_most_so_many_trials():
    search = {"design": "search", "proposals": 3, "factors": {"depth": [1, 2], "frames": [6, 8]}}
    confirm = {"design": "top", "best": 2, "seeds": 4, "controls": ["null"]}
    ablate = {"design": "one_at_a_time", "around": "winner", "seeds": 2}
    made = plan(stages={"search": search, "confirm": confirm, "ablate": ablate})
    assert [(stage.stage, stage.cost.trials) for stage in made.following] == [("confirm", 16), ("ablate", 6)]
    assert made.trials == 3 + 16 + 6


def test_a_search_begins_with_the_baseline_and_must_hold_it():
    search = {"design": "search", "proposals": 3, "factors": {"frames": [12, 16]}}
    with pytest.raises(UserError, match=r"stages\.search\.factors: must hold those of the baseline"):
        plan(stages={"search": search})


def test_a_search_whose_space_is_empty_is_refused():
    search = {"design": "search", "proposals": 3, "factors": {"kernel_time": [33, 35]}}
    with pytest.raises(UserError, match="no combination of the levels can be built"):
        plan(stages={"search": search})


def test_costs_grow_with_the_work():
    small, large = plan(**{"baseline.epochs": 10}), plan(**{"baseline.epochs": 40})
    seconds = [sum(cost.seconds for _, cost in made.arms) for made in (small, large)]
    assert seconds[1] == pytest.approx(4 * seconds[0])
    assert plan(**{"resources.memory": 1e-6}).memory < small.memory  # groups of one fold


def test_what_this_machine_is_bad_at_is_said(monkeypatch):
    monkeypatch.setattr("study.planning.plan.multiplies_bfloat16", lambda: False)
    assert not plan().warnings
    assert "no units for it" in plan(**{"baseline.precision": "bfloat16"}).warnings[0]
    assert "tf32 is a GPU's" in plan(**{"baseline.precision": "tf32"}).warnings[0]
    assert plan(**{"baseline.precision": "bfloat16", "resources": {"gpu": 1, "accelerator": "H100"}}).warnings == []
    assert "is given 0.1; declare 0.3" in plan(**{"resources.memory": 0.1}).warnings[0]
    monkeypatch.setattr("study.planning.plan.multiplies_bfloat16", lambda: True)
    assert not plan(**{"baseline.precision": "bfloat16"}).warnings
