"""CASME II: its sheet's quirks, its folders, and each kind of damage."""

import shutil

import av
import numpy as np
import pytest

from search_spaces.errors import UserError
from study.data import readers
from study.data.readers import casme2
from study.data.readers.findings import index_of

HEADER = [
    "Subject",
    "Filename",
    None,
    "OnsetFrame",
    "ApexFrame",
    "OffsetFrame",
    None,
    "Action Units",
    "Estimated Emotion",
]
# subject as text and as a number, action units as number and text, two emotions outside MEGC's classes
ROWS = [
    ["01", "EP02_01f", None, 46, 59, 66, None, 4, "happiness"],
    ["01", "EP03_02", None, 131, 139, 140, None, "4+7", "others"],
    [2, "EP09f", None, 8, "/", 12, None, "L14", "disgust"],
    [2, "EP13_04", None, 95, 0, 104, None, 12, "Repression "],
    ["02", "EP14_01", None, 10, 99, 20, None, 12, "surprise"],
    ["17", "EP01_01", None, 1, 3, 9, None, 1, "fear"],
    ["17", "EP05_09", None, 9, 10, 11, None, 1, "surprise"],
]


@pytest.fixture
def casme(tree):
    """Raw frames: only the annotated ones of the first clip, more of the others; two folders without a label."""
    tree.sheet("CASME2-coding-20140508.xlsx", [HEADER, *ROWS])
    base = "CASME2_RAW_selected"
    for subject, name, _, onset, _, offset, *_ in ROWS:
        more = 0 if name == "EP02_01f" else 3
        tree.images(f"{base}/sub{int(subject):02d}/{name}", range(max(1, onset - more), offset + more + 1))
    tree.images(f"{base}/sub02/EP02_02f", range(3))
    (tree.root / base / "sub01/EP02_01f/Thumbs.db").write_bytes(b"x")
    return tree


def found(tree, **options):
    return casme2.survey(tree.root, options)


def problems(tree, **options) -> list[str]:
    with pytest.raises(UserError) as error:
        readers.read("casme2", tree.root, options)
    return error.value.problems


def change(tree, number, **cells):
    """Write the sheet again with one row changed; cells by their place, c3 the onset."""
    rows = [list(row) for row in ROWS]
    for place, value in cells.items():
        rows[number][int(place[1:])] = value
    tree.sheet("CASME2-coding-20140508.xlsx", [HEADER, *rows])


def test_the_index_is_as_expected(casme):
    index = readers.read("casme2", casme.root, {})
    rows = [
        (r["clip_id"], r["subject"], r["label"], r["onset"], r["apex"], r["offset"]) for r in index.table.to_pylist()
    ]
    assert rows == [
        ("sub01/EP02_01f", "sub01", "positive", 0, 13, 20),
        ("sub02/EP09f", "sub02", "negative", 3, None, 7),  # apex '/'
        ("sub02/EP13_04", "sub02", "negative", 3, None, 12),  # apex 0
        ("sub02/EP14_01", "sub02", "surprise", 3, None, 13),  # apex outside
        ("sub17/EP05_09", "sub17", "surprise", 3, 4, 5),
    ]
    assert index.classes == ("negative", "positive", "surprise")
    assert set(index.table["fps"].to_pylist()) == {200.0}
    assert (index.name, index.table["source"][0].as_py()) == ("casme2", "CASME2_RAW_selected/sub01/EP02_01f")


def test_what_is_left_out_and_replaced_is_told(casme):
    notes = "\n".join(found(casme).notes)
    assert "megc3 drops 2 of 7 clips: fear 1, others 1" in notes
    assert "on disk without an annotation: 1 (sub02/EP02_02f)" in notes
    assert "apex unknown: 3 (sub02/EP09f, sub02/EP13_04, sub02/EP14_01)" in notes
    assert "apex annotated outside onset and offset, taken as unknown: 1 (sub02/EP14_01)" in notes


def test_the_two_clips_that_megc2019_leaves_out(casme):
    rows = [
        ["04", "EP12_01f", None, 5, "/", 9, None, 4, "disgust"],
        ["05", "EP09_05f", None, 5, 5, 9, None, 4, "disgust"],
    ]
    casme.sheet("CASME2-coding-20140508.xlsx", [HEADER, *ROWS, *rows])
    for row in rows:
        casme.images(f"CASME2_RAW_selected/sub{row[0]}/{row[1]}", range(5, 10))
    assert len(found(casme).rows) == 5
    assert len(found(casme, labels="casme2_5").rows) == 8  # fear has no class there


def test_cropped_images_come_first_and_either_may_be_named(casme):
    for subject, name, _, onset, _, offset, *_ in ROWS:
        casme.images(f"Cropped-updated/Cropped/sub{int(subject):02d}/{name}", range(onset, offset + 1), "reg_img{}.jpg")
    assert found(casme).rows[0]["source"] == "Cropped-updated/Cropped/sub01/EP02_01f"
    assert found(casme, images="selected").rows[0]["source"] == "CASME2_RAW_selected/sub01/EP02_01f"
    assert found(casme, images="CASME2_RAW_selected").rows == found(casme, images="selected").rows
    assert "there are: cropped, selected, CASME2_RAW" in problems(casme, images="mine")[0]


def test_csv_and_prose_above_the_header_give_the_same(casme):
    expected = found(casme).rows
    (casme.root / "CASME2-coding-20140508.xlsx").unlink()
    header = ["Subject", "Filename", "", "Onset Frame", "Apex frame", "OffsetFrame", "", "AU", "Estimated Emotion"]
    casme.sheet("CASME2-coding-20190701.csv", [["Micro-expressions"], [], header, *ROWS, ["MEAN", "", "", 40]])
    survey = found(casme)
    assert survey.rows == expected
    assert any("rows of text around the table, not read: 1" in note for note in survey.notes)


def test_several_annotations_are_to_be_chosen_from(casme):
    casme.sheet("CASME2-coding-updated.xlsx", [HEADER, *ROWS])
    assert "name one by the option annotation: CASME2-coding-20140508.xlsx, CASME2" in problems(casme)[0]
    assert len(found(casme, annotation="CASME2-coding-updated.xlsx").rows) == 5
    assert "there is no file" in problems(casme, annotation="none.xlsx")[0]


def test_objective_classes_come_from_their_own_file(casme):
    assert "expected: CASME2-ObjectiveClasses" in problems(casme, labels="objective5")[0]
    classes = [[row[0], row[1], number] for number, row in zip((3, 1, 2, 7, "IV", 5), ROWS, strict=False)]
    casme.sheet("CASME2-ObjectiveClasses.xlsx", [["Subject", "Filename", "Objective Class"], *classes])
    survey = found(casme, labels="objective5")
    assert {row["clip_id"]: row["label"] for row in survey.rows} == {
        "sub01/EP02_01f": "III",
        "sub01/EP03_02": "I",
        "sub02/EP09f": "II",
        "sub02/EP14_01": "IV",
        "sub17/EP01_01": "V",
    }
    assert {out.reason for out in survey.left_out if "objective" in out.reason} == {
        "no objective class in CASME2-ObjectiveClasses.xlsx",
        "objective5 has no class for objective vii",
    }


def test_a_map_of_the_studys_own(casme):
    survey = found(casme, labels={"Surprise": "sudden", "fear": "sudden", "disgust": "slow", "repression": "slow"})
    assert survey.classes == ("sudden", "slow")
    assert [row["label"] for row in survey.rows] == ["slow", "slow", "sudden", "sudden", "sudden"]
    assert "'fun' is no emotion of casme2; valid: disgust, fear" in problems(casme, labels={"fun": "a"})[0]


def test_a_map_of_another_dataset_is_refused(casme):
    assert (
        "labels: samm_5 does not fit casme2; valid: megc3, objective5, casme2_5" in problems(casme, labels="samm_5")[0]
    )
    assert "labels: mine is no label map of casme2" in problems(casme, labels="mine")[0]


def test_options_are_told_together(casme):
    told = problems(casme, label="x", window="many", missing="skip", corrections={"sub01/EP02_01f": {"on": 3}})
    assert len(told) == 4
    assert any("option label is not one of casme2; valid: labels, labels_from, window" in problem for problem in told)
    assert any("option window is 'many'" in problem for problem in told)
    assert any("corrections.sub01/EP02_01f.on is not one of casme2; valid: onset, apex" in problem for problem in told)


def test_a_window_around_the_apex(casme):
    rows = {row["clip_id"]: row for row in found(casme, window=9).rows}
    assert (rows["sub01/EP02_01f"]["onset"], rows["sub01/EP02_01f"]["offset"]) == (0, 20)  # long enough
    assert (rows["sub17/EP05_09"]["onset"], rows["sub17/EP05_09"]["offset"]) == (0, 8)  # 4 before the apex, 4 after it
    assert (rows["sub02/EP09f"]["onset"], rows["sub02/EP09f"]["offset"]) == (1, 9)  # around the middle
    assert any("widened to 9 frames: 2" in note for note in found(casme, window=9).notes)
    (problem,) = problems(casme, window=12)
    assert "window is 12; on disk 2 clips have fewer frames, down to 9 (sub02/EP09f, sub17/EP05_09); set a" in problem


def test_corrections_are_applied_and_counted(casme):
    change(casme, 0, c5=20)  # an offset before the onset
    (problem,) = problems(casme)
    assert problem.endswith(
        "onset 46 lies after offset 20; correct it by the option corrections: {sub01/EP02_01f: {offset: ...}}"
    )
    assert "row 2: " in problem
    survey = found(casme, corrections={"sub01/EP02_01f": {"offset": 66}})
    assert survey.rows[0]["offset"] == 20 and not survey.problems
    assert any("annotation corrected by the study: 1" in note for note in survey.notes)
    assert any(
        "there is no clip sub99/x" in problem for problem in problems(casme, corrections={"sub99/x": {"apex": 1}})
    )


def test_images_numbered_anew_are_the_clip(casme):
    folder = casme.root / "CASME2_RAW_selected/sub01/EP02_01f"
    shutil.rmtree(folder)
    casme.images("CASME2_RAW_selected/sub01/EP02_01f", range(1, 22))
    survey = found(casme)
    assert [survey.rows[0][name] for name in ("onset", "apex", "offset")] == [0, 13, 20]
    assert any("numbered anew, taken as onset to offset: 1" in note for note in survey.notes)


def test_missing_frames(casme):
    for number in (48, 49, 55):
        (casme.root / f"CASME2_RAW_selected/sub01/EP02_01f/img{number}.jpg").unlink()
    (problem,) = problems(casme)
    assert "row 2: sub01/EP02_01f: 3 of 21 frames are missing in " in problem and ": 48-49, 55; copy" in problem
    left = found(casme, missing="leave_out")
    assert [out.clip for out in left.left_out if out.frames == 3] == ["sub01/EP02_01f"]
    kept = found(casme, missing="keep")
    assert [kept.rows[0][name] for name in ("onset", "apex", "offset")] == [0, 10, 17]
    assert any("the others are used: 1 (sub01/EP02_01f)" in note for note in kept.notes)


@pytest.mark.parametrize(
    "cells, words",
    [
        ({"c3": "x"}, "sub01/EP02_01f: onset is 'x'; valid: a whole number"),
        ({"c3": None}, "sub01/EP02_01f: onset is ''; valid: a whole number"),
        ({"c5": "/"}, "sub01/EP02_01f: offset is '/'; valid: a whole number"),
        ({"c4": "5b"}, "sub01/EP02_01f: apex is '5b'; valid: a whole number"),
        ({"c0": "me"}, "subject is 'me'; valid: a number"),
        ({"c8": "hapiness"}, "sub01/EP02_01f: the emotion is 'hapiness'; valid: disgust"),
        ({"c1": "EP77"}, "sub01/EP77: there are neither images nor a video of it"),
    ],
)
def test_a_damaged_row_is_named_with_file_and_row(casme, cells, words):
    change(casme, 0, **cells)
    assert any(f"CASME2-coding-20140508.xlsx, row 2: {words}" in problem for problem in problems(casme))


def test_a_row_between_that_is_no_clip(casme):
    change(casme, 2, c1="??")
    assert any("row 4: is no clip: '2', '??'" in problem for problem in problems(casme))


def test_a_row_twice(casme):
    casme.sheet("CASME2-coding-20140508.xlsx", [HEADER, *ROWS, ROWS[0]])
    assert any("row 9: sub01/EP02_01f from 46 stands already in" in problem for problem in problems(casme))


def test_one_subject_in_two_folders(casme):
    casme.images("CASME2_RAW_selected/sub1/EP02_01f", range(3))
    assert any("one subject has two folders, sub01 and sub1" in problem for problem in problems(casme))


def test_folders_that_cannot_be_read(casme):
    folder = casme.root / "CASME2_RAW_selected/sub01/EP02_01f"
    shutil.copy(folder / "img46.jpg", folder / "reg_img46.jpg")
    (problem,) = problems(casme)
    assert "is frame 46, and so is" in problem
    for path in folder.iterdir():
        path.unlink()
    (problem,) = problems(casme)
    assert "holds no images" in problem


def test_places_without_a_dataset(tmp_path, tree):
    told = problems(tree)
    assert "there is no annotation; expected: CASME2-coding-20140508 (.xlsx or .csv)" in told[0]
    tree.sheet("CASME2-coding-20140508.xlsx", [HEADER, *ROWS])
    assert "there are no images; expected: CASME2_RAW_selected/sub01" in problems(tree)[0]
    (tmp_path / "CASME2-coding-20140508.xlsx").write_bytes(b"PK")
    assert "not readable as a table" in problems(tree)[0]
    tree.sheet("CASME2-coding-20140508.xlsx", [["Subject", "OnsetFrame"], [1, 2]])
    told = problems(tree)
    assert len(told) == 4 and "row 1: the column filename is missing; there are: Subject, OnsetFrame" in told[0]
    tree.sheet("CASME2-coding-20140508.xlsx", [[1, 2]])
    assert "there is no header; expected: a row that begins with Subject" in problems(tree)[0]
    with pytest.raises(UserError, match="no path is given; expected: the folder of casme2"):
        readers.read("casme2", None, {})
    with pytest.raises(UserError, match="there is no folder"):
        readers.read("casme2", tmp_path / "gone", {})


def test_an_old_excel_file_is_told_what_to_do(tree):
    (tree.root / "CASME2-coding-20140508.xls").write_bytes(b"x")
    assert "save the .xls as .xlsx or .csv" in problems(tree)[0]


def test_too_few_are_left(casme):
    assert "class a has no clips" in problems(casme, labels={"sadness": "a", "disgust": "b", "fear": "b"})[0]


def test_the_survey_is_the_index(casme):
    assert index_of(found(casme)).table.equals(readers.read("casme2", casme.root, {}).table)


def test_corrections_mend_what_is_missing_or_no_number(casme):
    change(casme, 0, c3="x", c5="")
    mended = {"sub01/EP02_01f": {"onset": 46, "offset": 66}}
    survey = found(casme, corrections=mended)
    assert (survey.rows[0]["onset"], survey.rows[0]["offset"], survey.problems) == (0, 20, ())
    told = problems(casme, corrections={"sub01/EP02_01f": {"onset": 46}})
    assert any("offset is ''" in problem for problem in told) and not any("onset is" in problem for problem in told)


def test_a_second_expression_in_one_folder(casme):
    second = ["17", "EP05_09", None, 12, 13, 14, None, 1, "surprise"]
    casme.sheet("CASME2-coding-20140508.xlsx", [HEADER, *ROWS, second])
    own = [(row["clip_id"], row["onset"], row["offset"]) for row in found(casme).rows if "EP05_09" in row["clip_id"]]
    assert own == [("sub17/EP05_09@12", 6, 8), ("sub17/EP05_09@9", 3, 5)]


def test_images_that_are_one_off_are_not_taken_for_numbered_anew(casme):
    """0 to 8 where 1 to 9 are annotated: numbered from 0, or the first is too much and the last is missing?"""
    shutil.rmtree(casme.root / "CASME2_RAW_selected/sub17/EP01_01")
    casme.images("CASME2_RAW_selected/sub17/EP01_01", range(9))
    (problem,) = problems(casme, labels={"fear": "a", "disgust": "b"})
    assert "sub17/EP01_01: 1 of 9 frames are missing" in problem


def test_the_index_knows_how_many_clips_are_widened(casme):
    assert index_of(found(casme)).widened == 0
    assert index_of(found(casme, window=9)).widened == 2


def test_clips_may_be_videos(tree):
    """One for each clip, with its suffix; a folder beside it may hold its landmarks, and macOS leaves companions."""
    rows = [[s, f"EP0{c}_01f", None, 3, 4, 6, None, 4, e] for s in (1, 2) for c, e in ((1, "disgust"), (2, "surprise"))]
    tree.sheet("CASME2-coding-20140508.xlsx", [HEADER, *rows])
    for number, (subject, name, *_) in enumerate(rows):
        path = tree.root / f"CASME2_compressed/sub{subject:02d}/{name}.avi"
        film(path, shade=9 * number)
        (path.parent / f"._{path.name}").write_bytes(b"a companion")
    film(tree.root / "CASME2_compressed/sub02/EP09_01f.avi", shade=90)
    (tree.root / "CASME2_compressed/sub01/EP01_01f").mkdir()
    survey = found(tree, labels={"disgust": "no", "surprise": "oh"})
    assert survey.problems == ()
    own = [(row["clip_id"], row["onset"], row["apex"], row["offset"], row["source"]) for row in survey.rows[:2]]
    assert own == [
        ("sub01/EP01_01f", 2, 3, 5, "CASME2_compressed/sub01/EP01_01f.avi"),  # a video's first frame is 1
        ("sub01/EP02_01f", 2, 3, 5, "CASME2_compressed/sub01/EP02_01f.avi"),
    ]
    assert [out.clip for out in survey.left_out] == ["sub02/EP09_01f"]


def film(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 16
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), shade + number, np.uint8), "rgb24")
            container.mux(video.encode(frame.reformat(format="yuv420p")))
        container.mux(video.encode())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda text: text.replace("\n01,EP02_01f,,46", "\n01,EP02_01f,,46,5"),
            "row 2: has 10 cells, the header",
        ),
        (lambda text: text.replace(",46,", ",4_6,"), "sub01/EP02_01f: onset is '4_6'; valid: a whole number"),
        (lambda text: text.replace(",46,", ",٤٦,"), "sub01/EP02_01f: onset is '٤٦'"),
        (lambda text: text.replace(",66,", ",4000000000,"), "sub01/EP02_01f: offset is '4000000000'"),
        (lambda text: text.replace(",66,", f",{'9' * 5000},"), "sub01/EP02_01f: offset is '999"),
        (lambda text: text.replace("\n01,", f"\n{'1' * 5000},"), "valid: a number, or a name with one"),
        (
            lambda text: text.replace("Filename,", "Filename,OnsetFrame"),
            "the column onsetframe stands",
        ),
        (lambda text: text.replace("happiness", '"happiness'), "not readable as a table (unexpected end of data)"),
    ],
)
def test_a_csv_is_read_whole_or_refused(casme, change, words):
    (casme.root / "CASME2-coding-20140508.xlsx").unlink()
    table = casme.sheet("CASME2-coding-20140508.csv", [HEADER, *ROWS])
    text = table.read_text(encoding="utf-8").replace("\r\n", "\n")
    table.write_text(change(text), encoding="utf-8")
    assert any(words in problem for problem in problems(casme))


def test_semicolons_tabs_blank_rows_and_na(casme):
    expected = found(casme).rows
    (casme.root / "CASME2-coding-20140508.xlsx").unlink()
    table = casme.sheet("CASME2-coding-20140508.csv", [["Prose, with commas"], HEADER, *ROWS])
    text = table.read_text(encoding="utf-8").replace("EP09f,,8,/", "EP09f,,8,N/A")
    for separator in (",", ";", "\t"):
        table.write_text((text + ",,,,,,,,\n" * 2).replace(",", separator), encoding="utf-8")
        assert found(casme).rows == expected
