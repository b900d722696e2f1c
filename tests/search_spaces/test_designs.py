"""Designs: which arms a study file makes."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from search_spaces.designs import arms, arms_around
from search_spaces.errors import UserError
from search_spaces.study_file import READY, load_study

BASE = {"name": "x", "dataset": {"path": "clips"}, "baseline": {"architecture": "fusion_late", "frames": 24}}


def study(tmp_path: Path, design: dict, stage: str = "ablate"):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**BASE, "stages": {stage: design}}))
    return load_study(path)


def test_one_at_a_time_changes_one_thing_an_arm(tmp_path):
    design = {
        "design": "one_at_a_time",
        "seeds": 2,
        "vary": {"depth": [1, 2, 3], "architecture": ["full_face"]},
        "arms": {"eyes only": {"regions": "eyes", "fusion": "none"}},
    }
    found = {arm.name: arm.changes for arm in arms(study(tmp_path, design))}
    assert found == {
        "baseline": {},
        "architecture=full_face": {"regions": "face", "fusion": "none"},
        "depth=2": {"depth": 2},
        "depth=3": {"depth": 3},
        "eyes only": {"regions": "eyes", "fusion": "none"},
    }


def test_factorial_crosses_every_level_and_holds_the_baseline_once(tmp_path):
    design = {"design": "factorial", "factors": {"depth": [1, 2], "frames": [18, 24]}}
    found = arms(study(tmp_path, design))
    assert len({arm.config.key() for arm in found}) == len(found) == 4
    assert found[0].name == "baseline"


def test_listed_takes_arms_by_name(tmp_path):
    found = arms(study(tmp_path, {"design": "listed", "arms": {"deep": {"depth": 4, "head": "pool"}}}))
    assert [(arm.name, arm.changes) for arm in found] == [("baseline", {}), ("deep", {"depth": 4, "head": "pool"})]


def test_controls_and_their_seeds(tmp_path):
    design = {
        "design": "one_at_a_time",
        "seeds": 2,
        "controls": [None, "permuted_labels", "single_frame", "shuffled_time"],  # YAML reads a bare null as None
    }
    found = {arm.name: arm for arm in arms(study(tmp_path, design))}
    assert list(found) == ["baseline", "null", "permuted_labels", "single_frame", "shuffled_time"]
    assert found["null"].config == found["baseline"].config
    assert not set(found["null"].seeds) & set(found["baseline"].seeds)
    assert found["permuted_labels"].seeds == found["baseline"].seeds
    assert found["permuted_labels"].changes == {"control": "permuted_labels"}


def test_a_single_frame_is_shown_as_it_is_and_not_as_a_difference_to_itself(tmp_path):
    path = tmp_path / "study.yaml"
    baseline = {**BASE["baseline"], "input": "frame_difference"}
    stages = {"ablate": {"design": "one_at_a_time", "controls": ["single_frame"]}}
    path.write_text(yaml.safe_dump({**BASE, "baseline": baseline, "stages": stages}))
    assert arms(load_study(path))[-1].changes == {"control": "single_frame", "input": "gray"}


def test_stages_come_in_their_own_order_and_share_no_seed(tmp_path):
    path = tmp_path / "study.yaml"
    listed = {"design": "listed", "seeds": 999, "arms": {"deep": {"depth": 2}}, "controls": ["null"]}
    path.write_text(yaml.safe_dump({**BASE, "stages": {"ablate": listed, "confirm": {**listed, "controls": []}}}))
    found = arms(load_study(path))
    assert [arm.stage for arm in found][:2] == ["confirm", "confirm"]
    by_kind = {(a.stage, a.name == "null"): set(a.seeds) for a in found}
    assert sum(len(own) for own in by_kind.values()) == len(set.union(*by_kind.values()))


@pytest.mark.parametrize("path", sorted(READY.glob("*.yaml")), ids=lambda path: path.stem)
def test_ready_studies_load(path):
    spec = load_study(path)
    assert spec.name == path.stem
    assert spec.question


def test_around_a_winner_each_of_its_choices_is_set_back(tmp_path):
    design = {"design": "one_at_a_time", "around": "winner", "vary": {"depth": [2, 3]}, "controls": ["null"]}
    search = {"design": "search", "proposals": 3, "factors": {"depth": [1, 2]}}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**BASE, "stages": {"search": search, "ablate": design}}))
    spec = load_study(path)
    baseline = spec.baseline_config()
    assert not [arm for arm in arms(spec) if arm.stage == "ablate"]  # they are not known beforehand
    winner = replace(baseline, regions="face", fusion="none", depth=2, grid=4)
    found = {arm.name: arm for arm in arms_around("ablate", spec.stages["ablate"], winner, baseline)}
    assert list(found) == ["winner", "- architecture", "- depth", "depth=3", "null"]  # grid has no effect
    assert found["- architecture"].changes == {"regions": "eyes+mouth", "fusion": "late"}
    assert found["null"].config == winner


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ({"design": "top"}, r"stages\.ablate\.design: top takes the best of a search, and no stage before it"),
        ({"design": "listed", "around": "winner", "arms": {"a": {"depth": 2}}}, "around: winner needs a search"),
    ],
)
def test_what_follows_from_a_search_needs_one(tmp_path, design, words):
    with pytest.raises(UserError, match=words):
        study(tmp_path, design)


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ({"vary": {"grid": [2, 4]}}, "arm grid=2 is the same configuration as baseline"),
        ({"arms": {"same": {"depth": 1}}}, "arm same is the same configuration as baseline"),
        ({"arms": {"a": {"depth": 2}, "b": {"depth": 2}}}, "arm b is the same configuration as a"),
        ({"vary": {"depth": [2]}, "arms": {"depth=2": {"depth": 3}}}, "two arms have the name depth=2"),
        ({"controls": ["null", "null"]}, "null is given twice"),
    ],
)
def test_arms_that_would_be_one_are_refused(tmp_path, design, words):
    with pytest.raises(UserError, match=words):
        study(tmp_path, {"design": "one_at_a_time", **design})


NO_NAME = "is no name of an arm; expected: at least one letter or digit"
ONE_LINE = "is no name on one line of at most 200 letters; expected: "
SAME = "are one name in 2 spellings; expected: names that a reader tells apart"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([""], NO_NAME),
        ([" "], NO_NAME),
        (["\u3000"], NO_NAME),
        (["\u200b"], NO_NAME),
        (["\n"], NO_NAME),
        (["baseline "], f"'baseline ' {ONE_LINE}'baseline'"),
        ([" deep"], f"' deep' {ONE_LINE}'deep'"),
        (["two\nlines"], f"{ONE_LINE}'two lines'"),
        (["a\tb"], f"{ONE_LINE}'a b'"),
        (["x" * 201], ONE_LINE),
        (["baseline"], "baseline is the name of an arm that losolab makes itself"),
        (["winner"], "winner is the name of an arm that losolab makes itself"),
        (["permuted_labels"], "permuted_labels is the name of an arm that losolab makes itself"),
        (["Baseline"], f"'Baseline' and 'baseline' {SAME}"),
        (["ｂａｓｅｌｉｎｅ"], SAME),
        (["base\u200bline"], SAME),
        (["NULL"], f"'NULL' and 'null' {SAME}"),
        (["Deep", "deep"], f"'Deep' and 'deep' {SAME}"),
        (["x1", "x01"], f"'x01' and 'x1' {SAME}"),
        (["a b", "a  b"], f"'a  b' and 'a b' {SAME}"),
        (["jos\u00e9", "jose\u0301"], SAME),
    ],
)
def test_names_that_no_reader_of_a_table_could_tell(tmp_path, names, told):
    arms = {name: {"depth": 2, "filters": number + 1} for number, name in enumerate(names)}
    with pytest.raises(UserError) as caught:
        study(tmp_path, {"design": "listed", "arms": arms})
    (problem,) = caught.value.problems
    assert "stages.ablate: arms: " in problem
    assert told in problem


def test_names_that_a_reader_tells_apart(tmp_path):
    named = [
        "* ours",
        "lr > 0.1",
        "lr > 0.01",
        "微表情",
        "[A] eyes",
        "50 % & a_b # {c}",
        "baseline 2",
        "null (own)",
        "-1",
        "+1",
    ]
    arms_ = {name: {"depth": 2, "filters": number + 1} for number, name in enumerate(named)}
    found = arms(study(tmp_path, {"design": "listed", "arms": arms_}))
    assert {arm.name for arm in found} == {"baseline", *named}
