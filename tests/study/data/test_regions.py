import numpy as np
import pytest

from study.data.regions import MASTER, Box, cut, within


def test_boxes_are_fixed_shares_of_the_face():
    face = Box(24, 24, 128, 128)
    assert within("face", face) == face
    assert within("eyes", face) == (24 + 6, 24 + 6, 122 - 6, 64 - 6)
    assert within("mouth", face) == (24 + 19, 24 + 77, 109 - 19, 122 - 77)


def test_a_face_at_master_size_is_the_plain_crop():
    frames = np.random.default_rng(0).integers(0, 256, (2, 176, 176), dtype=np.uint8)
    assert np.array_equal(cut(frames, "face", Box(24, 24, 128, 128)), frames[:, 24:152, 24:152])


@pytest.mark.parametrize("region", MASTER)
@pytest.mark.parametrize("face", [None, Box(3, 5, 40, 50), Box(0, 0, 1, 1)])
def test_every_region_has_its_master_size(region, face):
    frames = np.full((2, 60, 80), 9, np.uint8)
    pixels = cut(frames, region, face)
    assert pixels.shape == (2, MASTER[region], MASTER[region])
    assert (pixels == 9).all()


def test_the_frame_is_uncropped():
    frames = np.zeros((1, 128, 128), np.uint8)
    frames[0, 0, 0] = 200
    assert cut(frames, "frame", Box(20, 20, 64, 64))[0, 0, 0] == 200


@pytest.mark.parametrize("face", [Box(-1, 0, 10, 10), Box(0, 0, 81, 60), Box(50, 30, 20, 31)])
@pytest.mark.parametrize("region", ["face", "eyes", "frame"])
def test_a_face_outside_the_frame_is_refused(face, region):
    with pytest.raises(ValueError, match="80 x 60"):
        cut(np.zeros((1, 60, 80), np.uint8), region, face)
