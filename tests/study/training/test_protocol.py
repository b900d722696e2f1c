"""Masks of every protocol: who is trained on and who is held out, whatever the order of rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.protocols import protocol, protocol_name
from study.data.clips import ClipNames
from study.training.protocol import deal, folds, loso, of_outer_fold, shuffled

DEALT = [["s028", "s602"], ["s636", "s417"], ["s524", "s258"]]  # the first subjects of the first folds
BY_SUBJECT = ("loso", "subject_kfold(3)", "subject_kfold(5)", "leave_one_dataset_out")


@st.composite
def composites(draw) -> ClipNames:
    """Clips of two datasets in any order of rows, of at least three subjects each."""
    subjects = [f"{dataset}/s{i}" for dataset in "ab" for i in range(draw(st.integers(3, 6)))]
    owners = subjects + draw(st.lists(st.sampled_from(subjects), max_size=40))
    rows = draw(st.permutations([(f"clip{i:03d}", owner) for i, owner in enumerate(owners)]))
    labels = np.array([int(name[4:]) % 3 for name, _ in rows])
    names, of = (np.array(column) for column in zip(*rows, strict=True))
    return ClipNames(names, of, ("x", "y", "z"), {"index": "one"}, labels)


def held_out(clips: ClipNames, name: str, seed: int) -> dict[str, set[str]]:
    return {fold.held_out: set(clips.ids[fold.test].tolist()) for fold in folds(clips, name, seed)}


@given(clips=composites(), name=st.sampled_from(BY_SUBJECT))
def test_every_clip_is_held_out_once_and_no_subject_is_on_both_sides(clips, name):
    found = folds(clips, name, 3)
    assert (np.sum([fold.test for fold in found], axis=0) == 1).all()
    for fold in found:
        assert not {*clips.subjects[fold.test]} & {*clips.subjects[fold.train]}
        assert (fold.test ^ fold.train).all()
    turned = replace(clips, ids=clips.ids[::-1], subjects=clips.subjects[::-1], labels=clips.labels[::-1])
    assert held_out(clips, name, 3) == held_out(turned, name, 3) == held_out(clips, name, 4)
    assert list(held_out(clips, name, 3)) == [fold.held_out for fold in folds(turned, name, 3)]


@given(clips=composites(), share=st.sampled_from([0.1, 0.2, 0.5]))
def test_a_split_holds_out_its_share_of_every_class_anew_for_every_seed(clips, share):
    (fold,) = folds(clips, f"holdout({share})", 1)
    for label in range(3):
        own = clips.labels == label
        assert (fold.test & own).sum() == min(own.sum() - 1, max(1, round(share * own.sum())))
    assert (fold.test ^ fold.train).all()
    turned = replace(clips, ids=clips.ids[::-1], subjects=clips.subjects[::-1], labels=clips.labels[::-1])
    assert held_out(clips, f"holdout({share})", 1) == held_out(turned, f"holdout({share})", 1)
    splits = [held_out(clips, f"holdout({share})", seed)["split"] for seed in range(8)]
    assert len(set(map(frozenset, splits))) > 1


@given(clips=composites(), inner=st.sampled_from([2, 3, 5]))
def test_an_inner_fold_has_no_clip_of_the_subject_it_chooses_for(clips, inner):
    found = folds(clips, f"nested_loso({inner})", 3)
    outer = loso(clips, 3)
    assert [fold.held_out for fold in found[: len(outer)]] == [fold.held_out for fold in outer]
    for fold in outer:
        own = [other for other in found if of_outer_fold(other.held_out) == fold.held_out]
        assert len(own) == min(inner, len(outer) - 1)
        assert not any(((other.test | other.train) & fold.test).any() for other in own)
        assert (np.sum([other.test for other in own], axis=0) == fold.train).all()
        for other in own:
            assert not {*clips.subjects[other.test]} & {*clips.subjects[other.train]}
    turned = replace(clips, ids=clips.ids[::-1], subjects=clips.subjects[::-1], labels=clips.labels[::-1])
    assert held_out(clips, f"nested_loso({inner})", 3) == held_out(turned, f"nested_loso({inner})", 3)


def test_the_deal_of_subjects_is_written_down_and_even():
    """Fold keys hang on it: it may never change. 656 subjects, as DFME has."""
    draw = np.random.default_rng(1)
    counts = draw.geometric(0.09, 656)
    subjects = np.repeat([f"s{i:03d}" for i in range(656)], counts)
    labels = draw.choice(7, len(subjects), p=[0.3, 0.2, 0.15, 0.13, 0.1, 0.07, 0.05])
    ids = np.array([f"c{i}" for i in range(len(subjects))])
    clips = ClipNames(ids, subjects, tuple("abcdefg"), {"index": "dfme"}, labels)
    dealt = deal(clips, shuffled(subjects.tolist(), "dfme"), 10)
    assert sorted(subject for own in dealt for subject in own) == sorted(set(subjects.tolist()))
    assert [own[:2] for own in dealt[:3]] == DEALT
    of_fold = np.array([np.bincount(labels[np.isin(subjects, own)], minlength=7) for own in dealt])
    assert (np.abs(of_fold / of_fold.sum(0) - 0.1) < 0.01).all()
    assert {len(own) for own in dealt} <= {64, 65, 66, 67}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("loso", "loso"),
        ({"kind": "subject_kfold", "folds": 10}, "subject_kfold(10)"),
        ({"kind": "holdout"}, "holdout(0.2)"),
        ("holdout(0.25)", "holdout(0.25)"),
        ({"kind": "leave_one_dataset_out"}, "leave_one_dataset_out"),
    ],
)
def test_a_protocol_has_one_name(given, name):
    assert protocol_name(given) == name
    assert str(protocol(name)) == name


@pytest.mark.parametrize(
    "given",
    ["kfold", "loso(3)", "subject_kfold(1)", "subject_kfold(2.5)", "holdout(x)", {"kind": "holdout", "share": 0.9}]
    + [{"kind": "loso", "folds": 3}, {"folds": 3}, {"kind": ["loso"]}, 3, None, True, ["loso"], "holdout(nan)", ""],
)
def test_what_is_no_protocol_is_told_what_is(given):
    with pytest.raises(ValueError, match="expected: loso"):
        protocol_name(given)


def test_every_clip_is_held_out_once_with_its_subject(random_clips):
    clips = random_clips(count=23, subjects=5)
    folds = loso(clips, seed=3)
    assert {fold.held_out for fold in folds} == set(clips.subjects)
    assert (np.sum([fold.test for fold in folds], axis=0) == 1).all()
    for fold in folds:
        assert set(clips.subjects[fold.test]) == {fold.held_out}
        assert not (fold.test & fold.train).any()
        assert (fold.test | fold.train).all()


def test_the_order_of_subjects_is_the_datasets_and_not_the_seeds_or_the_rows(random_clips):
    clips = random_clips(count=30, subjects=10)
    order = [fold.held_out for fold in loso(clips, 0)]
    assert order == [fold.held_out for fold in loso(clips, 1)]
    turned = replace(clips, subjects=clips.subjects[::-1], ids=clips.ids[::-1])
    assert order == [fold.held_out for fold in loso(turned, 0)]
    assert order != sorted(order)
    assert order != [fold.held_out for fold in loso(replace(clips, digests={"index": "other"}), 0)]
