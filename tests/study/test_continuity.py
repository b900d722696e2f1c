"""Going on with a study: what may be added, and what is refused with what differs."""

import pytest

from search_spaces.errors import UserError
from study.identity import TRAINING_VERSION

OAT = {"design": "one_at_a_time", "seeds": 1, "vary": {"input": ["gray"]}}
ONE = {"ablate": OAT}


def refused(small, **changes) -> str:
    with pytest.raises(UserError) as mistake:
        small.run(**changes)
    assert all("give the changed study a new name" in problem for problem in mistake.value.problems)
    return "\n".join(mistake.value.problems)


def test_seeds_and_arms_may_be_added_and_not_taken_away(small):
    small.run(stages=ONE)
    more = {"ablate": OAT | {"seeds": 2, "vary": {"input": ["gray"], "depth": [2]}}}
    small.run(stages=more)
    assert "arm depth=2 with seed 3000" in refused(small, stages={"ablate": OAT | {"seeds": 2}})
    assert "seed 3001" in refused(small, stages={"ablate": more["ablate"] | {"seeds": 1}})


def test_an_arm_keeps_its_levels(small):
    arm = {"design": "listed", "seeds": 1, "arms": {"one region": {"regions": "eyes", "fusion": "none"}}}
    small.run(stages={"ablate": arm})
    other = arm | {"arms": {"one region": {"regions": "mouth", "fusion": "none"}}}
    assert "arm one region with seed 3000 (regions=eyes" in refused(small, stages={"ablate": other})


def test_proposals_may_be_added_until_a_later_stage_begins(small):
    from search_spaces.study_file import load_study

    search = load_study(small.file).stages["search"].model_dump(mode="json", exclude_defaults=True)
    small.run(stages={"search": search | {"proposals": 3}})
    small.run(stages={"search": search | {"proposals": 5}})
    assert "fewer than the ledger has" in refused(small, stages={"search": search | {"proposals": 4}})
    small.run(stages={"search": search | {"proposals": 5}, **ONE})
    later = {"search": search | {"proposals": 6}, **ONE}
    assert "was 5, and a later stage has begun" in refused(small, stages=later)


def test_baseline_and_resources_that_decide_digits_stay(small):
    small.run(stages=ONE)
    small.run(stages=ONE, **{"baseline.kernel_space": 3})  # the default, written out
    found = refused(small, stages=ONE, **{"baseline.depth": 2, "resources.memory": 8})
    assert "arm baseline with seed 3000" in found
    assert "arithmetic.memory was null when this study began and is now 8" in refused(
        small, stages=ONE, **{"resources.memory": 8}
    )


def test_other_pixels_and_another_training_version_are_another_study(small, monkeypatch):
    import study.driver

    small.run(stages=ONE)
    options = {"subjects": 5, "clips": 5, "seed": 1}
    assert "data.index was" in refused(small, stages=ONE, dataset={"reader": "synthetic", "options": options})
    monkeypatch.setattr(study.driver, "TRAINING_VERSION", 99)
    assert f"training_version was {TRAINING_VERSION} when this study began and is now 99" in refused(small, stages=ONE)
