"""CAS(ME)^2: a sheet without header, expressions within long videos, apexes and offsets of 0, and damage."""

import av
import numpy as np
import pytest

from search_spaces.errors import UserError
from study.data import readers
from study.data.readers import casme_squared

MICRO, MACRO = "micro-expression", "macro-expression"
ROWS = [
    [1, "anger1_1", 5, 8, 14, 4, "negative", MICRO, "anger"],
    [1, "anger1_2", 20, 24, 30, "NULL", "Others", MICRO, "helpless"],
    [9, "happy1_1", 3, 6, 12, "L1+L2", "positive", MICRO, "happyiness"],
    [9, "disgust1_1", 3, 6, 12, "14or23", "negative", MICRO, "disgust"],
    [9, "disgust1_2", 3, 6, 0, "4,24", "negative", MACRO, "disgust"],  # no offset
    [2, "anger1_1", 3, 0, 9, 4, "negative", MACRO, "anger"],  # no apex
    [2, "happy2_1", 3, 12, 9, 4, "surprise", MACRO, "happiness"],  # apex after the offset
]
VIDEOS = {"s15": ["15_0401girlcrashing"], "s16": ["16_0401girlcrashing", "16_0503unnyfarting"], "s19": []}
SUBJECTS = {1: "15", 2: "16", 9: "25"}


@pytest.fixture
def selected(tree):
    """A folder for each expression; `cropped` has no s in its subjects' folders."""
    tree.sheet("CAS(ME)^2code_final(Updated).xlsx", ROWS, "CASFEcode_final", **{"naming rule1": [[1, "s15", 1]]})
    for participant, name, onset, apex, offset, *_ in ROWS:
        tree.images(f"selectedpic/s{SUBJECTS[participant]}/{name}", range(onset, max(apex, offset) + 1))
    return tree


@pytest.fixture
def whole(tree):
    """Frames of whole videos from 1, with one of s25's folders below s19."""
    tree.sheet("CAS(ME)^2code_final.csv", ROWS)
    for folder in ("s15/15_0401girlcrashing", "s16/16_0401girlcrashing", "s16/16_0503unnyfarting"):
        tree.images(f"rawpic/{folder}", range(1, 41), "img{:03d}.jpg")
    tree.images("rawpic/s25/25_0101disgustingteeth", range(1, 9), "img_{:05d}.jpg")
    tree.images("rawpic/s25/25_0101disgustingteeth", range(9, 41), "img_{:05d}.jpg")
    tree.images("rawpic/s19/25_0502funnyerrors", range(1, 41), "img_{:05d}.jpg")
    return tree


def survey(tree, **options):
    return casme_squared.survey(tree.root, options)


def clips(found):
    return [(r["clip_id"], r["label"], r["onset"], r["apex"], r["offset"]) for r in found.rows]


def test_micro_expressions(selected):
    index = readers.read("casme_squared", selected.root, {})
    assert index.classes == ("happy", "anger", "disgust")
    assert [
        (r["clip_id"], r["subject"], r["label"], r["onset"], r["apex"], r["offset"]) for r in index.table.to_pylist()
    ] == [
        ("s15/anger1_1", "s15", "anger", 0, 3, 9),
        ("s15/anger1_2", "s15", "anger", 0, 4, 10),
        ("s25/disgust1_1", "s25", "disgust", 0, 3, 9),
        ("s25/happy1_1", "s25", "happy", 0, 3, 9),
    ]
    assert index.table["fps"][0].as_py() == 30.0
    told = "\n".join(index.notes)
    assert "4 micro- and 3 macro-expressions are annotated; expressions: micro uses 4, of 2 subjects" in told
    assert [out.reason for out in survey(selected).left_out] == ["a macro-expression"] * 3
    assert "no offset" not in told


def test_macro_expressions_and_their_quirks(selected):
    found = survey(selected, expressions="macro", labels={"negative": "bad", "surprise": "odd"}, labels_from="valence")
    assert clips(found) == [
        ("s16/anger1_1", "bad", 0, None, 6),
        ("s16/happy2_1", "odd", 0, None, 6),
        ("s25/disgust1_2", "bad", 0, 3, 3),
    ]
    told = "\n".join(found.notes)
    assert "no offset annotated, by the rule apex: 1 (s25/disgust1_2)" in told
    assert "apex annotated outside onset and offset, taken as unknown: 1 (s16/happy2_1)" in told
    assert "apex unknown: 2 (s16/anger1_1, s16/happy2_1)" in told


def test_what_an_expression_without_offset_is(whole):
    options = {"expressions": "all"}
    assert ("s25/disgust1_2", "disgust", 2, 5, 5) in clips(survey(whole, **options))
    assert ("s25/disgust1_2", "disgust", 2, 5, 8) in clips(survey(whole, missing_offset="mirror", **options))
    left = survey(whole, missing_offset="leave_out", **options)
    assert [(o.clip, o.reason) for o in left.left_out] == [("s25/disgust1_2", "no offset annotated")]


def test_the_mirror_ends_with_the_video(whole):
    rows = [list(row) for row in ROWS]
    rows[4][2:4] = 10, 39
    whole.sheet("CAS(ME)^2code_final.csv", rows)
    assert ("s25/disgust1_2", "disgust", 9, 38, 39) in clips(survey(whole, missing_offset="mirror", expressions="all"))


def test_several_expressions_in_one_video_and_a_folder_of_another_subject(whole):
    found = survey(whole)
    assert clips(found) == [
        ("s15/anger1_1", "anger", 4, 7, 13),
        ("s15/anger1_2", "anger", 19, 23, 29),
        ("s25/disgust1_1", "disgust", 2, 5, 11),
        ("s25/happy1_1", "happy", 2, 5, 11),
    ]
    assert found.rows[0]["source"] == found.rows[1]["source"] == "rawpic/s15/15_0401girlcrashing"
    assert any("taken for the subject of its name: 1 (25_0502funnyerrors)" in note for note in found.notes)


def test_a_window_reaches_beyond_the_expression(whole):
    rows = {row["clip_id"]: row for row in survey(whole, window=32).rows}
    assert all(row["offset"] - row["onset"] == 31 for row in rows.values())
    assert rows["s15/anger1_2"]["onset"] == 23 - 16  # the apex stays in its middle
    assert rows["s15/anger1_1"]["onset"] == 0  # the video's beginning


def test_a_window_from_the_onset_reads_on_in_the_film(whole):
    rows = {row["clip_id"]: row for row in survey(whole, window=20, window_from="onset").rows}
    assert (rows["s15/anger1_1"]["onset"], rows["s15/anger1_1"]["offset"]) == (4, 23)  # frame 5 is the onset
    (problem,) = survey(whole, window=24, window_from="onset").problems
    assert "1 clips have fewer frames from their onset on, down to 21 (s15/anger1_2)" in problem.text


def test_videos_are_numbered_from_one(tree):
    tree.sheet("CAS(ME)^2code_final.xlsx", [row for row in ROWS if row[1].startswith("anger1")])
    for name in ("s15/15_0401girlcrashing", "s16/16_0401girlcrashing"):
        video(tree.root / f"rawvideo/{name}.avi", 30)
    found = survey(tree, expressions="all", labels="valence4")
    assert clips(found)[0] == ("s15/anger1_1", "negative", 4, 7, 13)
    assert found.rows[0]["source"] == "rawvideo/s15/15_0401girlcrashing.avi"
    video(tree.root / "rawvideo/s15/15_0401girlcrashing.avi", 25)
    told = [str(problem) for problem in survey(tree, expressions="all", labels="valence4").problems]
    assert len(told) == 1 and "s15/anger1_2: 5 of 11 frames are missing in " in told[0] and ": 26-30; copy" in told[0]
    (tree.root / "rawvideo/s15/15_0401girlcrashing.avi").write_bytes(b"no video")
    told = [str(problem) for problem in survey(tree, expressions="all", labels="valence4").problems]
    assert len(told) == 2 and all("not readable as a video" in problem for problem in told)


def video(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30, width=16, height=16, pix_fmt="yuvj420p")
        for number in range(frames):
            picture = np.full((16, 16, 3), number * 5, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_cropped_folders_without_s_come_first(selected):
    for participant, name, onset, apex, offset, *_ in ROWS:
        selected.images(f"cropped/{SUBJECTS[participant]}/{name}", range(onset, max(apex, offset) + 1))
    assert survey(selected).rows[0]["source"] == "cropped/15/anger1_1"
    assert survey(selected, images="selectedpic").rows[0]["source"] == "selectedpic/s15/anger1_1"


@pytest.mark.parametrize(
    "cells, words",
    [
        ({0: 23}, "anger1_1: participant is 23; valid: 1 to 22"),
        ({1: "anger9_1"}, "s15/anger9_1: there is no such film; valid: disgust1"),
        ({2: None}, "s15/anger1_1: onset is ''; valid: a whole number"),
        ({3: "x"}, "s15/anger1_1: apex is 'x'; valid: a whole number"),
        ({3: 0, 4: 0}, "s15/anger1_1: offset is missing, and so is onset or apex"),
        ({7: "expression"}, "anger1_1: type is 'expression'; valid: micro-expression, macro-expression"),
        ({2: 15}, "s15/anger1_1: onset 15 lies after offset 14"),
    ],
)
def test_a_damaged_row_is_named_with_file_and_row(selected, cells, words):
    rows = [list(row) for row in ROWS]
    for place, value in cells.items():
        rows[0][place] = value
    selected.sheet("CAS(ME)^2code_final(Updated).xlsx", rows)
    with pytest.raises(UserError) as error:
        readers.read("casme_squared", selected.root, {})
    (problem,) = error.value.problems
    assert f"code_final(Updated).xlsx, row 1: {words}" in problem


def test_participants_are_the_subjects_of_the_naming_rule():
    assert len(casme_squared.SUBJECTS) == 22
    assert casme_squared.SUBJECTS[:3] + casme_squared.SUBJECTS[-2:] == (15, 16, 19, 38, 40)
    assert not {17, 18, 28, 39} & set(casme_squared.SUBJECTS)


def test_a_correction_gives_the_offset_that_is_missing(whole):
    for rule in ("apex", "leave_out"):
        found = survey(whole, expressions="all", missing_offset=rule, corrections={"s25/disgust1_2": {"offset": 11}})
        assert ("s25/disgust1_2", "disgust", 2, 5, 10) in clips(found)
        assert not any("no offset annotated" in note for note in found.notes)


def test_a_clip_without_a_row_is_left_out_with_a_word(selected, whole):
    selected.images("selectedpic/s16/anger2_1", range(3, 9))
    whole.images("rawpic/s16/16_0505funny", range(1, 9))
    for images, name in (("selectedpic", "s16/anger2_1"), ("rawpic", "s16/16_0505funny")):
        found = survey(selected, images=images, annotation="CAS(ME)^2code_final(Updated).xlsx")
        assert [out.clip for out in found.left_out if out.reason == "on disk without an annotation"] == [name]
        assert f"left out, on disk without an annotation: 1 ({name})" in found.notes
