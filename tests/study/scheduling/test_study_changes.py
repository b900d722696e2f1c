"""Going on with a study: what may be added, and what is refused with what differs."""

import re

import pytest

from search_spaces.errors import UserError
from study.trials.fold_identity import TRAINING_VERSION

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


@pytest.mark.slow
def test_proposals_may_be_added_until_a_later_stage_begins(small):
    from search_spaces.study_file import load_study

    search = load_study(small.file).stages["search"].model_dump(mode="json", exclude_defaults=True)
    small.run(stages={"search": search | {"proposals": 3}})
    small.run(stages={"search": search | {"proposals": 5}})
    assert "fewer than the ledger has" in refused(small, stages={"search": search | {"proposals": 4}})
    small.run(stages={"search": search | {"proposals": 5}, **ONE})
    later = {"search": search | {"proposals": 6}, **ONE}
    assert "was 5, and a later stage has begun" in refused(small, stages=later)


def test_a_search_that_is_new_or_takes_the_place_of_arms_is_another_study(small):
    from search_spaces.study_file import load_study

    search = load_study(small.file).stages["search"].model_dump(mode="json", exclude_defaults=True)
    small.run(stages=ONE)
    assert "stages.search was null" in refused(small, stages={"search": search, **ONE})
    assert "stages.ablate was null" in refused(small, stages={"ablate": search})


def test_baseline_and_resources_that_decide_digits_stay(small):
    small.run(stages=ONE)
    small.run(stages=ONE, **{"baseline.kernel_space": 3})  # the default, written out
    found = refused(small, stages=ONE, **{"baseline.depth": 2, "resources.memory": 8})
    assert "arm baseline with seed 3000" in found
    assert "arithmetic.memory was 2.0 when this study began and is now 8.0" in refused(
        small, stages=ONE, **{"resources.memory": 8}
    )


def test_other_pixels_and_another_training_version_are_another_study(small, monkeypatch):
    import study.scheduling.driver

    small.run(stages=ONE)
    options = {"subjects": 5, "clips": 5, "seed": 1}
    told = refused(small, stages=ONE, dataset={"reader": "synthetic", "options": options})
    assert re.search(r"labels of \d+ clips are others \(.* was \w+ and is \w+\)", told)
    fewer = {"subjects": 4, "clips": 5}
    told = refused(small, stages=ONE, dataset={"reader": "synthetic", "options": fewer})
    assert re.search(r"\d+ clips are gone \(synthetic s\d+ ", told) and "put the data back as it was" in told
    monkeypatch.setattr(study.scheduling.driver, "TRAINING_VERSION", 99)
    assert f"training_version was {TRAINING_VERSION} when this study began and is now 99" in refused(small, stages=ONE)


def test_what_is_free_takes_effect_at_once(small, tmp_path):
    """Resources that decide no digit, paths, tracking and what the report opens with."""
    import shutil

    from study.data import readers
    from study.ledger.schema import read_only

    folder = small.run(stages=ONE)
    source = readers.materialise(small.prepared().index, small.storage / "data").root
    shutil.copytree(source, tmp_path / "moved")
    free = {"resources": {"cpu": 0.5}, "tracking_uri": "http://127.0.0.1:9", "question": "Another?"}
    small.run(stages=ONE, dataset={"reader": "manifest", "path": str(tmp_path / "moved")}, **free)
    with read_only(folder) as db:
        assert db.execute("select sum(trained) from attempt").fetchone()[0] == 10
        assert "Another?" in db.execute("select description from study").fetchone()[0]


def test_a_stage_that_has_begun_stays(small):
    from search_spaces.study_file import load_study

    search = load_study(small.file).stages["search"].model_dump(mode="json", exclude_defaults=True) | {"proposals": 2}
    small.run(stages={"search": search, **ONE})
    assert "stages.ablate has begun and is now gone" in refused(small, stages={"search": search})
    assert "stages.search has begun and is now gone" in refused(small, stages=ONE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "was"),
    [
        ({"virtual_slots": 3}, "virtual_slots was 2"),
        ({"seeds": 2}, "seeds was null"),
        ({"sampler": "random"}, "sampler was null"),
        ({"startup": 5}, "startup was 4"),
        ({"race": {"p": 0.1}}, 'race was "none"'),
        ({"factors": {"depth": [1, 2, 3]}}, "factors.depth was [1, 2]"),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_what_a_search_depends_on_is_identity(small, part, was):
    from search_spaces.study_file import load_study

    search = load_study(small.file).stages["search"].model_dump(mode="json", exclude_defaults=True) | {"proposals": 2}
    small.run(stages={"search": search})
    changed = search | part | ({"factors": search["factors"] | part["factors"]} if "factors" in part else {})
    assert f"stages.search.{was} when this study began and is now" in refused(small, stages={"search": changed})


def test_another_machine_is_refused_with_both_named(small, monkeypatch):
    from dataclasses import replace

    from study.trials import trial as trials

    small.run(stages=ONE)
    real = trials.device_here
    monkeypatch.setattr(trials, "device_here", lambda resources: replace(real(resources), torch="0.1"))
    with pytest.raises(UserError, match=r"made by .*and these by .*'0\.1'.*--mixed, which marks it"):
        small.run(stages={"ablate": OAT | {"seeds": 2}})


def test_folds_of_another_fold_group_are_not_mixed_into_a_trial(small):
    from study.trials.fold_identity import Arithmetic
    from study.trials.trial import Done, Trial, run_trial, trial_keys

    study, clips = small.prepared(stages=ONE), small.clips()
    trial = Trial(0, "ablate", "baseline", study.spec.baseline_config(), (1,))
    done = {trial_keys(trial, clips)[0]: Done(Arithmetic("cpu", "other", 1, "0.1", "float32", 1), "[]")}
    with pytest.raises(UserError, match=r"group=1.*this process has .*--mixed, which marks it"):
        list(run_trial(trial, clips, done, study.spec.resources))
