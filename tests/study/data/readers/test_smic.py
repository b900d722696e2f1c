"""SMIC, whose folders are its annotation, and SMIC-E, several of whose clips lie in one video."""

import pytest

from search_spaces.errors import UserError
from study.data import readers
from study.data.readers import smic, smic_e

CROPPED = "SMIC_all_cropped/HS"
HEADER = ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None, "FirstF", "LastF", "Emotion"]
ROWS = [
    [20, "s20_ne_01", None, 1050, 1060, 1080, 1085, None, 1000, 1099, "negative"],
    [20, "s20_po_02", None, 5, 9, None, None, None, 0, 12, "Positive"],
    [3, "s3_sur_03", None, 7, 11, "/", "/", None, 1, 15, "surprise"],
    [3, "s3_ne_20", None, 7, 11, None, None, None, 1, 15, "negative"],
    [None, "MEAN", None, None, None, None, None, None, None, None, 33.2],
]


@pytest.fixture
def dataset(tree):
    """Two cameras, cropped and raw; s3 has two digits in one name."""
    tree.images(f"{CROPPED}/s1/micro/negative/s1_ne_01", range(559740, 559751), "reg_image{}.bmp")
    tree.images(f"{CROPPED}/s1/micro/positive/s1_po_02", range(98, 103), "reg_image{}.bmp")
    tree.images(f"{CROPPED}/s3/micro/surprise/s03_sur_01", range(6), "reg_image{:06d}.bmp")
    tree.images(f"{CROPPED}/s3/non_micro/s03_non_01", range(6), "reg_image{:06d}.bmp")
    tree.images("SMIC_all_raw/HS/s1/micro/negative/s1_ne_01", range(559740, 559751), "image{}.jpg")
    tree.images("SMIC_all_cropped/VIS/s11/micro/negative/s11_ne_01", range(4), "reg_image{}.bmp")
    return tree


def problems(tree, reader="smic", **options) -> list[str]:
    with pytest.raises(UserError) as error:
        readers.read(reader, tree.root, options)
    return error.value.problems


def test_the_index_is_as_expected(dataset):
    index = readers.read("smic", dataset.root, {})
    rows = [
        (r["clip_id"], r["subject"], r["label"], r["onset"], r["apex"], r["offset"]) for r in index.table.to_pylist()
    ]
    assert rows == [
        ("s01_ne_01", "s01", "negative", 0, None, 10),
        ("s01_po_02", "s01", "positive", 0, None, 4),
        ("s03_sur_01", "s03", "surprise", 0, None, 5),
    ]
    assert index.table["fps"][0].as_py() == 100.0
    assert any("apex unknown: 3" in note for note in index.notes)
    assert any("images: cropped (" in note and f"/{CROPPED})" in note for note in index.notes)


def test_cameras_and_raw_images(dataset):
    visible = smic.survey(dataset.root, {"camera": "VIS"})
    assert [(row["clip_id"], row["fps"]) for row in visible.rows] == [("s11_ne_01", 25.0)]
    raw = smic.survey(dataset.root, {"images": "raw"})
    assert [row["source"] for row in raw.rows] == ["SMIC_all_raw/HS/s1/micro/negative/s1_ne_01"]
    assert "expected: SMIC_all_cropped/NIR/s1/micro" in problems(dataset, camera="NIR")[0]
    assert "option camera is 'IR': input should be 'HS', 'VIS' or 'NIR'" in problems(dataset, camera="IR")[0]


def test_damage(dataset):
    (dataset.root / CROPPED / "s1/micro/negative/s1_ne_01/reg_image559745.bmp").unlink()
    dataset.images(f"{CROPPED}/s3/micro/surprise/s3_po_02", range(3))
    dataset.images(f"{CROPPED}/s3/micro/positive/s4_po_02", range(3))
    dataset.images(f"{CROPPED}/s3/micro/sad/s3_sad_01", range(3))
    dataset.images(f"{CROPPED}/s01/micro/negative/s1_ne_05", range(3))
    (dataset.root / CROPPED / "s3/micro/negative/s3_ne_07").mkdir(parents=True)
    told = problems(dataset)
    for words in (
        "s01_ne_01: 1 of 11 frames are missing",
        "559745; copy them again",
        "is named positive, and lies in surprise; move it",
        "is named after subject 4, and lies in s3; move it",
        "s3_sad_01: the emotion is 'sad'; valid: negative, positive, surprise",
        "one subject has two folders, s01 and s1",
        "s3_ne_07: holds no images",
    ):
        assert sum(words in problem for problem in told) == 1, (words, told)
    assert len(told) == 6


def test_frames_that_are_missing_may_be_accepted(dataset):
    (dataset.root / CROPPED / "s1/micro/negative/s1_ne_01/reg_image559745.bmp").unlink()
    assert smic.survey(dataset.root, {"missing": "keep"}).rows[0]["offset"] == 9


@pytest.fixture
def long_videos(tree):
    tree.sheet("SMIC-HS-E_annotation.xlsx", [HEADER, *ROWS], "HS", VIS=[["another"]])
    base = "SMIC-E_raw image/HS_long/SMIC-HS-E/HS"
    tree.images(f"{base}/s20/s20_ne_01", range(1000, 1100), "image{:06d}.jpg")
    tree.images(f"{base}/s20/s20_po_02", range(13), "image{:06d}.jpg")
    tree.images(f"{base}/s03/s3_sur_03", range(1, 16), "image{:06d}.jpg")
    return tree


def test_smic_e_several_clips_in_a_video_and_text_below_the_table(long_videos):
    told = problems(long_videos, "smic_e")
    assert len(told) == 1 and "row 5: s03_ne_20: there are neither images nor a video of it" in told[0]
    survey = smic_e.survey(long_videos.root, {"missing": "leave_out"})
    assert [(r["clip_id"], r["subject"], r["label"], r["onset"], r["offset"]) for r in survey.rows] == [
        ("s03_sur_03", "s03", "surprise", 6, 10),
        ("s20_ne_01@1050", "s20", "negative", 50, 60),
        ("s20_ne_01@1080", "s20", "negative", 80, 85),
        ("s20_po_02", "s20", "positive", 5, 9),
    ]
    assert [out.clip for out in survey.left_out] == ["s03_ne_20"]
    assert any("rows of text around the table, not read: 1" in note for note in survey.notes)


def test_smic_e_is_not_smic(long_videos):
    assert "there are no images" in problems(long_videos)[0]
    expected = smic_e.survey(long_videos.root, {"missing": "leave_out"}).rows
    long_videos.images("SMIC_all_raw/HS/s1/micro/negative/s1_ne_01", range(5), "image{}.jpg")
    assert smic_e.survey(long_videos.root, {"missing": "leave_out"}).rows == expected
    assert [row["clip_id"] for row in smic.survey(long_videos.root, {}).rows] == ["s01_ne_01"]


def test_smic_e_damage(long_videos):
    rows = [list(row) for row in ROWS]
    rows[0][6] = "late"
    rows[1][-1] = "good"
    long_videos.sheet("SMIC-HS-E_annotation.xlsx", [HEADER, *rows], "HS")
    told = problems(long_videos, "smic_e", missing="leave_out")
    assert len(told) == 2
    assert any("row 2: s20_ne_01: offset is 'late'" in problem for problem in told)
    assert any("row 3: s20_po_02: the emotion is 'good'" in problem for problem in told)


def test_smic_e_a_video_in_two_rows(long_videos):
    third = list(ROWS[0])
    for place, cell in enumerate(third):
        third[place] = {1050: 1070, 1060: 1075}.get(cell, "" if cell in (1080, 1085) else cell)
    long_videos.sheet("SMIC-HS-E_annotation.xlsx", [HEADER, *ROWS, third], "HS")
    found = smic_e.survey(long_videos.root, {"missing": "leave_out"})
    assert {"s20_ne_01@1050", "s20_ne_01@1070", "s20_ne_01@1080"} <= {row["clip_id"] for row in found.rows}
