"""The plan: what it promises is what is trained, and what cannot be built is refused before anything starts."""

import pytest

from search_spaces.errors import UserError
from search_spaces.study_file import READY, load_study
from study.costs import Costs
from study.data import readers
from study.ledger import read_only
from study.plan import make_plan

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
    assert promised.arms
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
    assert large.seconds == pytest.approx(4 * small.seconds)
    assert plan(**{"resources.memory": 1e-6}).memory < small.memory  # groups of one fold
