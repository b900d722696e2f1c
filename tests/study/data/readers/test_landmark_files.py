"""Landmarks of the datasets that are read as their owners ship them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.data import readers
from study.data.cache import store
from study.data.inspection import requirements
from study.data.readers.landmark_files import landmarks_of
from study.data.video import regions
from study.data.video.landmarks import mean_face

CLIPS = {"EP01_01": ("sub01", 8, 11, "disgust"), "EP02_01": ("sub02", 8, 11, "surprise")}
EP = "CASME2_RAW_selected/sub01/EP01_01"


@pytest.mark.parametrize(
    ("source", "given", "file"),
    [
        ("CASME2_RAW_selected/sub01/EP01_01/", "marks", "marks/CASME2_RAW_selected/sub01/EP01_01.csv"),
        ("CASME2_RAW_selected/sub01/EP01_01/", "marks", "marks/sub01/EP01_01.npy"),
        ("CASME2_RAW_selected/sub01/EP01_01/", "marks", "marks/sub01/EP01_01/EP01_01.csv"),
        ("CASME2_RAW_selected/sub01/EP01_01/", "beside", "CASME2_RAW_selected/sub01/EP01_01.csv"),
        ("CASME2_RAW_selected/sub01/EP01_01/", "beside", "CASME2_RAW_selected/sub01/EP01_01/EP01_01.csv"),
        ("SAMM/006/006_1_2/", "of/samm", "of/samm/006/006_1_2.csv"),
        ("SMIC_all_raw/HS/s1/micro/negative/s1_ne_01/", "marks", "marks/s1/micro/negative/s1_ne_01.npy"),
        ("SMIC_all_raw/HS/s1/micro/negative/s1_ne_01/", "marks", "marks/negative/s1_ne_01.npy"),
        ("SMIC-HS-E/HS/s01/s1_ne_01/", "../marks", "../marks/s01/s1_ne_01.csv"),
        ("rawvideo/s15/15_0101disgustingteeth.avi", "marks", "marks/s15/15_0101disgustingteeth.csv"),
        ("rawvideo/s15/15_0101disgustingteeth.avi", "beside", "rawvideo/s15/15_0101disgustingteeth.npy"),
        ("../elsewhere/SAMM/006/006_1_2/", "marks", "marks/SAMM/006/006_1_2.csv"),
    ],
)
def test_the_rule(tmp_path, source, given, file):
    root = tmp_path / "dataset"
    for path in (root / source, root / file):
        folder = path if str(path) == str(root / source) and source.endswith("/") else path.parent
        folder.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.touch()
    assert landmarks_of(root / source, root, given).resolve() == (root / file).resolve()


def test_per_frame_files_may_lie_with_the_images(tmp_path):
    (tmp_path / EP).mkdir(parents=True)
    (tmp_path / EP / "img1.npy").touch()
    assert landmarks_of(tmp_path / EP, tmp_path, "beside") == tmp_path / EP


def test_the_longest_path_is_taken_and_two_of_one_are_told(tmp_path):
    for path in (EP, "marks/sub01", f"marks/{EP}"):
        (tmp_path / path).mkdir(parents=True)
    for name in ("marks/sub01/EP01_01.csv", f"marks/{EP}.csv"):
        (tmp_path / name).touch()
    assert landmarks_of(tmp_path / EP, tmp_path, "marks") == tmp_path / f"marks/{EP}.csv"
    (tmp_path / f"marks/{EP}.npy").touch()
    with pytest.raises(UserError, match=r"several landmarks of .*EP01_01\.csv, .*EP01_01\.npy; leave one"):
        landmarks_of(tmp_path / EP, tmp_path, "marks")


@pytest.fixture
def casme(tree, openface):
    """Two clips of 120 x 100 pixels, with a face that wanders, and its landmarks by OpenFace and as arrays."""
    header = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"]
    rows = [[subject, name, on + 1, on + 2, off - 1, label] for name, (subject, on, off, label) in CLIPS.items()]
    tree.sheet("CASME2-coding.csv", [header, *rows])
    for number, (name, (subject, onset, offset, _)) in enumerate(CLIPS.items()):
        folder = tree.root / f"CASME2_RAW_selected/{subject}/{name}"
        folder.mkdir(parents=True)
        for frame in range(onset, offset + 1):
            pixels = np.random.default_rng([number, frame]).integers(0, 256, (120, 100), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"img{frame:02}.png")
    points = mean_face() * 80 + 10 + np.arange(4)[:, None, None]
    for folder in ("marks/sub01", "marks/sub02"):
        (tree.root / folder).mkdir(parents=True)
    openface(tree.root / "marks/sub01/EP01_01.csv", points, [1] * 4)
    np.save(tree.root / "marks/sub02/EP02_01.npy", points)
    return tree, points


OPTIONS = {"landmarks": "marks", "labels": {"disgust": "no", "surprise": "oh"}}


def test_alignment_and_landmarks_as_factors(casme, tmp_path):
    tree, points = casme
    index = readers.read("casme2", tree.root, OPTIONS)
    assert index.table["landmarks"].to_pylist() == ["marks/sub01/EP01_01.csv", "marks/sub02/EP02_01.npy"]
    config = TrialConfig(regions="eyes", landmarks="per_frame", alignment="none", frames=2)
    assert requirements.problems([config, replace(config, landmarks="onset")], index) == []
    (without,) = requirements.problems([config], readers.read("casme2", tree.root, OPTIONS | {"landmarks": None}))
    assert "needs landmarks" in without
    found = store.load(index, ("eyes.per_frame.none",), tmp_path / "cache").pixels["eyes.per_frame.none"]
    for clip, (name, (subject, *_)) in enumerate(CLIPS.items()):
        images = sorted((tree.root / f"CASME2_RAW_selected/{subject}/{name}").iterdir())[1:3]
        frames = np.stack([np.asarray(Image.open(image)) for image in images])
        assert np.array_equal(found[2 * clip : 2 * clip + 2], regions.cut_unaligned(frames, "eyes", points[1:3]))


def test_clips_without_landmarks_are_told_or_left_out(casme):
    tree, _ = casme
    (tree.root / "marks/sub02/EP02_01.npy").unlink()
    with pytest.raises(UserError) as error:
        readers.read("casme2", tree.root, OPTIONS)
    assert "sub02/EP02_01: there are no landmarks of" in error.value.problems[0]
    survey = readers.survey("casme2", tree.root, OPTIONS | {"missing": "leave_out"})
    assert [out.clip for out in survey.left_out] == ["sub02/EP02_01"]
    assert any("left out, without landmarks: 1 (sub02/EP02_01)" in note for note in survey.notes)


def test_openfaces_order_of_images_is_not_ours(casme, tmp_path):
    """It sorts img10 before img9: a table of such a folder tells of other frames than it seems to."""
    tree, _ = casme
    (tree.root / EP / "img09.png").rename(tree.root / EP / "img9.png")
    index = readers.read("casme2", tree.root, OPTIONS)
    with pytest.raises(UserError, match=r"counts images by their names, in which img10\.png precedes img9\.png"):
        store.load(index, ("eyes",), tmp_path / "cache")
