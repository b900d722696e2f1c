"""Regions: fixed boxes on an aligned face, cut out of the full frame and resized to the master size."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from study.data.resize import area_resize

# Side of a region's master pixels. Eyes and mouth are squashed to a square, as in the paper (arXiv 1904.01390).
MASTER = {"face": 128, "eyes": 64, "mouth": 64, "frame": 128}

# Left, top, right, bottom in hundredths of the face box: brows and eyes; nose base to chin.
SHARES = {"face": (0, 0, 100, 100), "eyes": (5, 5, 95, 50), "mouth": (15, 60, 85, 95)}


class Box(NamedTuple):
    """A rectangle in pixels of the video."""

    left: int
    top: int
    width: int
    height: int


def cut(frames: npt.NDArray[np.uint8], region: str, face: Box | None) -> npt.NDArray[np.uint8]:
    """A region of gray frames, uint8 [n, H, W] -> [n, S, S] at its master size; without a face box it is the frame.

    Raises ValueError when the face box does not lie within the frame.
    """
    height, width = frames.shape[1:]
    whole = Box(0, 0, width, height)
    face = face or whole
    if min(face) < 0 or face.left + face.width > width or face.top + face.height > height:
        raise ValueError(f"the face box {tuple(face)} does not lie within the frame, {width} x {height} pixels")
    left, top, wide, high = whole if region == "frame" else within(region, face)
    return area_resize(frames[:, top : top + high, left : left + wide], (MASTER[region], MASTER[region]))


def within(region: str, face: Box) -> Box:
    """The region's box on a face, to the nearest pixel, at least one pixel wide and high."""
    left, top, right, bottom = SHARES[region]
    x, y = (left * face.width + 50) // 100, (top * face.height + 50) // 100
    x_end, y_end = (right * face.width + 50) // 100, (bottom * face.height + 50) // 100
    return Box(face.left + x, face.top + y, max(x_end - x, 1), max(y_end - y, 1))


def rule(region: str) -> list[object]:
    """What decides a region's pixels, for the cache's name."""
    return [region, MASTER[region], SHARES.get(region)]
