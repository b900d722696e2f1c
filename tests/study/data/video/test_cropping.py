"""Landmarks from their file to what a network sees."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from search_spaces.network_inputs import master
from study.data.cache import store
from study.data.readers import manifest
from study.data.video import regions
from study.data.video.landmarks import mean_face

FRAMES = 80  # more than a cutter holds at a time
LEVELS = [(landmarks, alignment) for landmarks in ("onset", "per_frame") for alignment in ("similarity", "none")]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Two clips in one folder of images, the landmarks of which wander; its frames, its landmarks."""
    folder = tmp_path_factory.mktemp("landmarks")
    (folder / "frames").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 120, 100), dtype=np.uint8)
    points = mean_face() * 80 + 10 + (np.arange(FRAMES) // 3 % 5)[:, None, None]
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frames/img{number + 1}.png")
    np.save(folder / "points.npy", points)
    rows = [f"c{s},{s},{s},{onset},{offset},frames,points.npy" for s, onset, offset in (("a", 0, 36), ("b", 40, 74))]
    (folder / "clips.csv").write_text("clip_id,subject,label,onset,offset,source,landmarks\n" + "\n".join(rows))
    return folder, frames, points


def test_each_level_has_a_master_of_its_own(faces, tmp_path):
    folder, frames, points = faces
    config = TrialConfig(regions="eyes")
    names = [master(replace(config, landmarks=a, alignment=b), "eyes") for a, b in LEVELS]
    assert names == ["eyes", "eyes.none", "eyes.per_frame", "eyes.per_frame.none"]
    clips = store.load(manifest.read(folder, {}), [*names, "frame"], tmp_path)
    assert len({clips.digests[name] for name in names}) == 4
    own, fixed = points[40:75], np.broadcast_to(points[40], (35, 68, 2))
    expected = {
        "eyes": regions.cut_aligned(frames[40:75], "eyes", fixed, fixed[0]),
        "eyes.none": regions.cut_unaligned(frames[40:75], "eyes", fixed),
        "eyes.per_frame": regions.cut_aligned(frames[40:75], "eyes", own, own[0]),
        "eyes.per_frame.none": regions.cut_unaligned(frames[40:75], "eyes", own),
        "frame": regions.cut(frames[40:75], "frame", None),
    }
    for name, pixels in expected.items():
        assert np.array_equal(clips.pixels[name][clips.first[1] :], pixels), name


def test_other_landmarks_give_other_files_but_the_same_frame(faces, tmp_path):
    folder, _, points = faces
    index = manifest.read(folder, {})
    store.load(index, ("eyes", "frame"), tmp_path)
    np.save(folder / "points.npy", points + 1)
    store.load(index, ("eyes", "frame"), tmp_path)
    np.save(folder / "points.npy", points)
    assert sorted(file.name.partition("-")[0] for file in tmp_path.glob("*.arrow")) == ["eyes", "eyes", "frame"]


def test_missing_landmarks_are_told(faces, tmp_path):
    folder, _, points = faces
    index = manifest.read(folder, {})
    np.save(folder / "points.npy", np.where(np.arange(FRAMES)[:, None, None] == 42, np.nan, points))
    with pytest.raises(UserError, match=r"clip cb: .*points.npy: no face was found in 1 frames of the clip \(42"):
        store.load(index, ("eyes",), tmp_path)
    np.save(folder / "points.npy", points)


@pytest.mark.parametrize("landmarks", ["frames", ""])
def test_landmarks_beside_the_images_do_not_stand_for_them(tmp_path, landmarks):
    """One folder with both kinds: other images, or other landmarks, are other pixels."""
    folder, rng = tmp_path / "frames", np.random.default_rng(1)
    folder.mkdir()

    def write(number):
        Image.fromarray(rng.integers(0, 256, (120, 100), dtype=np.uint8)).save(folder / f"img{number}.png")

    for number in range(8):
        write(number)
        np.save(folder / f"img{number}.npy", mean_face() * 80 + 10)
    rows = [f"c{s},{s},{s},{first},{first + 3},frames,{landmarks}" for s, first in (("a", 0), ("b", 4))]
    (tmp_path / "clips.csv").write_text("clip_id,subject,label,onset,offset,source,landmarks\n" + "\n".join(rows))

    def digest():
        return store.load(manifest.read(tmp_path, {}), ("eyes",), tmp_path / "cache").digests["eyes"]

    seen = [digest()]
    write(2)
    seen.append(digest())
    np.save(folder / "img2.npy", mean_face() * 70 + 15)
    seen.append(digest())
    np.save(folder / "img0.npy", mean_face() * 60 + 15)
    seen.append(digest())
    assert len(set(seen)) == (3 if landmarks else 2), "without per_frame the onset's landmarks alone are seen"
