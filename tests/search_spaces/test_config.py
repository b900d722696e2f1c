"""Identity of a configuration: what is in its key, and what is left out so that no fold is orphaned."""

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search_spaces.config import FACTORS, TrialConfig, architecture, choices, resolve
from search_spaces.digests import digest, stream
from search_spaces.network_inputs import side

# The key of the paper's configuration names folds in ledgers that exist: it may never change.
DEFAULT_KEY = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_keys_are_what_they_were():
    assert TrialConfig().key() == DEFAULT_KEY == digest({})
    assert TrialConfig(depth=2).key() == digest({"depth": 2})


def test_a_factor_that_has_no_effect_is_not_in_the_key():
    assert TrialConfig(grid=5).key() == TrialConfig().key()
    assert TrialConfig(head="pool", grid=5).key() != TrialConfig(head="pool").key()


def test_whole_and_decimal_numbers_are_one_level():
    assert TrialConfig(dropout=0).key() == TrialConfig(dropout=0.0).key()
    assert TrialConfig(learning_rate=1).key() == TrialConfig(learning_rate=1.0).key()


@given(st.sampled_from(sorted(FACTORS)), st.data())
def test_every_level_of_an_active_factor_has_a_key_of_its_own(name, data):
    f = FACTORS[name]
    base = TrialConfig(head="pool", sampling="rate", control="single_frame")  # every factor has an effect
    if choices(f):
        levels = st.sampled_from(choices(f))
    elif name == "network":
        levels = st.sampled_from(["blocks", "nets:A", "nets:B"])
    elif f.type is int:
        levels = st.integers(int(f.metadata["low"]), int(f.metadata["high"]))
    else:
        levels = st.floats(f.metadata["low"], f.metadata["high"])
    a, b = (dataclasses.replace(base, **{name: data.draw(levels)}) for _ in range(2))
    assume(a.is_active(f) and b.is_active(f))
    assert (a.key() == b.key()) == (getattr(a, name) == getattr(b, name))
    assert TrialConfig(**a.explicit()).key() == a.key()


@pytest.mark.parametrize("name", sorted(FACTORS))
def test_every_factor_is_documented_and_its_default_is_valid(name):
    f = FACTORS[name]
    assert f.metadata["doc"]
    if choices(f):
        assert f.default in choices(f)
    elif name not in ("network", "protocol"):
        assert f.metadata["low"] <= f.default <= f.metadata["high"]


@pytest.mark.parametrize(
    ("regions", "fusion", "fits"),
    [
        ("face", "none", True),
        ("eyes", "none", True),
        ("frame", "none", True),
        ("eyes+mouth", "late", True),
        ("face+eyes+mouth", "intermediate", True),
        ("eyes+mouth", "none", False),
        ("face", "late", False),
    ],
)
def test_fusion_needs_several_regions(regions, fusion, fits):
    problems = TrialConfig(regions=regions, fusion=fusion).conflicts()
    assert (problems == []) == fits
    assert all("regions" in problem and "fusion" in problem for problem in problems)


def test_the_papers_names_set_regions_and_fusion():
    assert resolve({"architecture": "fusion_late", "depth": 2}) == {
        "regions": "eyes+mouth",
        "fusion": "late",
        "depth": 2,
    }
    assert architecture(TrialConfig()) == "full_face"
    assert architecture(TrialConfig(regions="eyes")) == "eyes/none"


def test_eyes_and_mouth_have_half_the_crop():
    assert [side(TrialConfig(), region) for region in ("face", "frame", "eyes", "mouth")] == [64, 64, 32, 32]


def test_streams_of_different_names_differ_and_numbers_are_no_texts():
    seeds = {stream("a", 1), stream("a", 2), stream("b", 1), stream("a", "1"), stream("a"), stream("a", 1, 0)}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**64 for seed in seeds)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_has_no_one_spelling_has_no_digest(value):
    with pytest.raises(ValueError, match="JSON"):
        digest({"learning_rate": value})
