"""Levels and ranges of factors as a search gives them: a range lies within what the factor itself may be."""

import pytest
import yaml

from search_spaces.config import FACTORS
from search_spaces.errors import UserError
from search_spaces.factor_schema import WholeRange
from search_spaces.study_file import load_study


def search(tmp_path, factor: str, levels: object):
    """What a study file's search has of a factor."""
    path, stage = tmp_path / "study.yaml", {"design": "search", "proposals": 9, "factors": {factor: levels}}
    path.write_text(yaml.safe_dump({"name": "x", "dataset": {"path": "clips"}, "stages": {"search": stage}}))
    return getattr(load_study(path).stages["search"].factors, factor)


def ends(low: object, high: object, **more: object) -> dict[str, object]:
    return {"low": low, "high": high, **more}


BEYOND = [
    ("learning_rate", ends(-0.05, 0.05), "low: -0.05 is not valid; expected: a number from 1e-07 to 10"),
    ("learning_rate", ends(0, 0.1), "low: 0 is not valid; expected: a number from 1e-07 to 10"),
    ("learning_rate", ends(0.1, 100, log=True), "high: 100 is not valid; expected: a number from 1e-07 to 10"),
    ("dropout", ends(0, 3), "high: 3 is not valid; expected: a number from 0 to 0.95"),
    ("dropout", ends(-0.1, 0.5), "low: -0.1 is not valid; expected: a number from 0 to 0.95"),
    ("flip", ends(-2.0, 4.0), "low: -2.0 is not valid; expected: a number from 0 to 1"),
    ("momentum", ends(0, 1), "high: 1 is not valid; expected: a number from 0 to 0.999"),
    ("weight_decay", ends(-5.0, 0.5), "low: -5.0 is not valid; expected: a number from 0 to 1"),
    ("rate", ends(0.5, 30), "low: 0.5 is not valid; expected: a number from 1 to 1000"),
    ("frames", ends(1, 32), "low: 1 is not valid; expected: a whole number from 2 to 256"),
    ("crop", ends(8, 129), "high: 129 is not valid; expected: a whole number from 8 to 128"),
    ("depth", ends(1, 2.5), "high: 2.5 is not valid; expected: a whole number from 1 to 4"),
    ("epochs", ends(10, "1e9"), "high: '1e9' is not valid; expected: a whole number from 1 to 100000"),
    ("kernel_time", ends(True, 15), "low: True is not valid; expected: a whole number from 1 to 63"),
]
CONTRARY = [
    ("dropout", ends(0.5, 0.1), "low must be below high, but 0.5 is not below 0.1"),
    ("dropout", ends(0.5, 0.5), "low must be below high"),
    ("dropout", ends(0, 0.5, log=True), "a log scale needs low above 0, not 0"),
    ("dropout", ends(0, 0.5, step=0.1), "step: unknown key"),
    ("learning_rate", ends(".nan", 0.1), "low: '.nan' is not valid; expected: a number from 1e-07 to 10"),
    ("frames", ends(8, 30, step=8), "high must be low and a number of steps, e.g. 24; 30 is not"),
    ("frames", ends(8, 32, step=0), "step: 0 is not valid; expected: a whole number from 1 to 100000"),
    ("frames", ends(8, 32, step=4, log=True), "a log scale has no step, but step is 4"),
    ("frames", {"low": 8}, "high: is missing"),
    ("frames", ends(8, 32, stepp=8), "stepp: unknown key; did you mean step?"),
    ("input", ends(1, 2), "expected: a list"),
    ("architecture", ends(1, 2), "expected: a list"),
]


@pytest.mark.parametrize(("factor", "levels", "told"), [*BEYOND, *CONTRARY], ids=str)
def test_ranges_that_are_refused(tmp_path, factor, levels, told):
    with pytest.raises(UserError) as caught:
        search(tmp_path, factor, levels)
    assert all(f"stages.search.factors.{factor}" in problem for problem in caught.value.problems)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", [name for name, f in FACTORS.items() if f.type in (int, float)])
def test_a_range_may_reach_from_end_to_end_of_its_factor(tmp_path, name):
    own = FACTORS[name].metadata
    taken = search(tmp_path, name, ends(own["low"], own["high"]))
    assert (taken.low, taken.high) == (own["low"], own["high"])
    assert isinstance(taken, WholeRange) == (FACTORS[name].type is int)


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        (ends(8, 32, step=8), [8, 16, 24, 32]),
        (ends(2, 5), [2, 3, 4, 5]),
        (ends(2.0, "5"), [2, 3, 4, 5]),
        (ends(2, 4, log=True), [2, 3, 4]),
        (ends(2, 256, step=254), [2, 256]),
    ],
)
def test_whole_numbers_have_ranges_with_steps(tmp_path, given, levels):
    assert list(search(tmp_path, "frames", given).levels()) == levels
