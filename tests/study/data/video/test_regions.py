import numpy as np
import pytest

from study.data.resize import area_resize
from study.data.video.landmarks import mean_face
from study.data.video.regions import MASTER, Box, cut, cut_aligned, cut_unaligned, runs, within


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


SIDE = 120
FACE_POINTS = mean_face() * SIDE


def head(angle: float, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """A smooth face-like picture, turned and moved in a frame of 300 x 260, and its landmarks."""
    rows, columns = np.mgrid[:260, :300]
    inner = (columns + 1j * rows - (x + 1j * y)) * np.exp(-1j * angle)  # where on the upright face each pixel lies
    picture = 120 + 50 * np.sin(inner.real / 9) + 50 * np.cos(inner.imag / 7)
    points = FACE_POINTS @ [1, 1j] * np.exp(1j * angle) + (x + 1j * y)
    return picture.astype(np.uint8), np.stack([points.real, points.imag], axis=1)


@pytest.mark.parametrize("region", ["face", "eyes", "mouth"])
def test_aligned_by_landmarks_a_turning_head_stands_still(region):
    poses = [head(angle, x, y) for angle, x, y in ((0, 80, 60), (0.2, 110, 50), (-0.3, 60, 90))]
    frames, points = np.stack([frame for frame, _ in poses]), np.stack([own for _, own in poses])
    still = cut_aligned(frames, region, points, points[0]).astype(int)
    assert np.abs(still - still[0]).mean() < 3
    moving = cut_aligned(frames, region, np.broadcast_to(points[0], points.shape), points[0]).astype(int)
    assert np.abs(moving - moving[0]).mean() > 20
    assert np.array_equal(moving[0], still[0])


def test_unaligned_the_papers_rule_cuts_between_the_points():
    frame, points = head(0, 80, 60)
    half_up = np.floor(points + 0.5).astype(int)
    (left, right), (top, bottom) = half_up[[1, 15], 0], half_up[[19, 1], 1]
    eyes = cut_unaligned(frame[None], "eyes", points[None])
    assert np.array_equal(eyes, area_resize(frame[None, top:bottom, left:right], (64, 64)))
    (left, right), (top, bottom) = half_up[[2, 14], 0], half_up[[2, 6], 1]
    mouth = cut_unaligned(frame[None], "mouth", points[None])
    assert np.array_equal(mouth, area_resize(frame[None, top:bottom, left:right], (64, 64)))


def test_a_face_partly_outside_is_cut_and_one_outside_is_refused():
    frame, points = head(0, -20, 60)
    assert cut_unaligned(frame[None], "face", points[None]).shape == (1, 128, 128)
    with pytest.raises(ValueError, match="eyes is empty or outside the frame, 300 x 260"):
        cut_unaligned(frame[None], "eyes", points[None] - 200)


def test_frames_that_follow_the_same_landmarks_go_together():
    points = np.stack([FACE_POINTS] * 3 + [FACE_POINTS + 1] * 2)
    assert runs(points) == [slice(0, 3), slice(3, 5)]
