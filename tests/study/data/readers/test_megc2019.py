"""The MEGC2019 composite: the official list, its three spellings of subjects, and three datasets."""

import numpy as np
import pytest

from search_spaces.errors import UserError
from study.data import readers
from study.data.readers import megc2019
from study.data.video.images import image_files

LIST = [
    ["casme2", "sub01", "EP02_01f", 1],
    ["casme2", "sub02", "EP09f", 0],
    [],
    ["smic", "s01", "s01_ne_01", 0],
    ["smic", "s01", "s01_sur_02", 2],
    ["", "", "", ""],
    ["samm", "6", "006_1_2", 0],
    ["samm", "11", "011_1_1", 2],
]
CASME2 = [
    ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"],
    ["01", "EP02_01f", 46, 50, 56, "happiness"],
    ["01", "EP02_02", 46, 50, 56, "disgust"],
    ["02", "EP09f", 5, "/", 9, "repression"],
]
SAMM = [
    ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion"],
    ["006", "006_1_2", 562, 570, 575, "Contempt"],
    ["011", "011_1_1", 95, 98, 104, "Surprise"],
    ["011", "011_1_2", 95, 98, 104, "Other"],
]


@pytest.fixture
def composite(tree):
    tree.sheet("combined_3class_gt.csv", LIST)
    tree.sheet("casme2/CASME2-coding-20140508.xlsx", CASME2)
    tree.sheet("samm/SAMM.xlsx", SAMM)
    for subject, name, onset, _, offset, _ in CASME2[1:]:
        tree.images(f"casme2/Cropped/sub{subject}/{name}", range(onset, offset + 1), "reg_img{}.jpg")
    for subject, name, onset, _, offset, _ in SAMM[1:]:
        tree.images(f"samm/SAMM_CROP/{subject}/{name}", range(onset, offset + 1), subject + "_{:05d}.jpg")
    for emotion, name in (("negative", "s1_ne_01"), ("surprise", "s1_sur_02"), ("positive", "s1_po_03")):
        tree.images(f"smic/SMIC_all_cropped/HS/s1/micro/{emotion}/{name}", range(90, 101), "reg_image{}.bmp")
    return tree


def problems(tree, **options) -> list[str]:
    with pytest.raises(UserError) as error:
        readers.read("megc2019", tree.root, options)
    return error.value.problems


def test_the_index_is_as_expected(composite):
    index = readers.read("megc2019", composite.root, {})
    rows = [(r["dataset"], r["subject"], r["clip_id"], r["label"], r["fps"]) for r in index.table.to_pylist()]
    assert rows == [
        ("casme2", "sub01", "sub01/EP02_01f", "positive", 200.0),
        ("casme2", "sub02", "sub02/EP09f", "negative", 200.0),
        ("samm", "006", "006_1_2", "negative", 200.0),
        ("samm", "011", "011_1_1", "surprise", 200.0),
        ("smic", "s01", "s01_ne_01", "negative", 100.0),
        ("smic", "s01", "s01_sur_02", "surprise", 100.0),
    ]
    assert index.classes == ("negative", "positive", "surprise")
    assert index.table["source"][0].as_py() == "casme2/Cropped/sub01/EP02_01f"
    notes = "\n".join(index.notes)
    assert "6 clips of 5 subjects; the official list has 442 of 68" in notes
    assert "not in MEGC2019's list: 3 (casme2/sub01/EP02_02, smic/s01_po_03, samm/011_1_2)" in notes


def test_the_datasets_may_lie_elsewhere(composite):
    expected = readers.read("megc2019", composite.root, {}).table.drop(["source"])
    (composite.root / "lists").mkdir()
    (composite.root / "combined_3class_gt.csv").rename(composite.root / "lists/combined_3class_gt.csv")
    parts = {
        "casme2": "../casme2",
        "smic": {"path": "../smic", "images": "cropped"},
        "samm": str(composite.root / "samm"),
    }
    index = readers.read("megc2019", composite.root / "lists", parts)
    assert index.table.drop(["source"]).equals(expected)
    assert all((index.root / source).is_dir() for source in index.table["source"].to_pylist())


def test_damage(composite):
    rows = [*LIST, ["samm", "6", "006_1_2", 0], ["casme3", "1", "a", 0], ["smic", "s01", "s01_po_03", 7]]
    rows[0] = ["casme2", "sub01", "EP02_01f", 0]
    rows[3] = ["smic", "s01", "s01_ne_09", 0]
    composite.sheet("combined_3class_gt.csv", rows)
    told = problems(composite)
    for words in (
        "row 1: sub01/EP02_01f is negative; casme2 says happiness",
        "row 4: s01_ne_09 of the list is not in smic",
        "row 9: 006_1_2 stands in the list already",
        "row 10: the dataset is 'casme3'; valid: casme2, smic, samm",
        "row 11: the label is '7'; valid: 0 (negative), 1 (positive), 2 (surprise)",
    ):
        assert sum(words in problem for problem in told) == 1, (words, told)
    assert len(told) == 5


def test_a_listed_clip_that_is_not_on_disk_may_be_left_out(composite):
    rows = [*LIST, ["smic", "s01", "s01_ne_09", 0]]
    composite.sheet("combined_3class_gt.csv", rows)
    found = megc2019.survey(composite.root, {"missing": "leave_out"})
    assert found.problems == ()
    assert [out.reason for out in found.left_out if out.clip == "smic/s01_ne_09"] == ["of the list, not on disk"]


def test_all_that_cannot_be_read_is_told_at_once(composite):
    told = problems(composite, casme2="gone", samm={"path": "samm", "images": "raw"})
    assert len(told) == 2
    assert "there is no folder" in told[0] and "option images is 'raw'" in told[1]


def test_problems_of_a_dataset_are_the_composites(composite):
    (composite.root / "casme2/Cropped/sub01/EP02_01f/reg_img48.jpg").unlink()
    (problem,) = problems(composite)
    assert "sub01/EP02_01f: 1 of 11 frames are missing in" in problem
    assert [out.clip for out in megc2019.survey(composite.root, {"missing": "leave_out"}).left_out if out.frames] == [
        "sub01/EP02_01f"
    ]


def test_landmarks_of_all_three_in_one_folder(composite):
    sources = [row["source"] for row in readers.read("megc2019", composite.root, {}).table.to_pylist()]
    for source in sources:
        file = composite.root / "marks" / f"{source}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.zeros((len(image_files(composite.root / source)), 68, 2)))
    index = readers.read("megc2019", composite.root, {"landmarks": "marks"})
    assert index.table["landmarks"].to_pylist() == [f"marks/{source}.npy" for source in sources]
    file.unlink()
    assert f"there are no landmarks of {composite.root / sources[-1]}" in problems(composite, landmarks="marks")[0]
