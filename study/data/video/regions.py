"""Regions: what is cut out of the full frame and resized to the master size, by a face box or by landmarks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from study.data.resize import area_resize
from study.data.video.landmarks import Points, on_canvas, similarity, warped

# Side of a region's master pixels. Eyes and mouth are squashed to a square, as in the paper (arXiv 1904.01390).
MASTER = {"face": 128, "eyes": 64, "mouth": 64, "frame": 128}

# Left, top, right, bottom in hundredths of the face box: brows and eyes; nose base to chin.
SHARES = {"face": (0, 0, 100, 100), "eyes": (5, 5, 95, 50), "mouth": (15, 60, 85, 95)}

# The paper's rule: left, top, right, bottom are those of these points (from 0, of 68).
BORDERS = {"eyes": (1, 19, 15, 1), "mouth": (2, 2, 14, 6)}
MARGIN = 8  # the face by landmarks: the box of all points and an 8th of it on each side, as around the mean face

Pixels = npt.NDArray[np.uint8]


class Box(NamedTuple):
    """A rectangle in pixels of the video."""

    left: int
    top: int
    width: int
    height: int

    def is_apart(self, other: "Box") -> bool:
        """Whether the two have no pixel in common."""
        across = self.left >= other.left + other.width or other.left >= self.left + self.width
        return across or self.top >= other.top + other.height or other.top >= self.top + self.height


def cut(frames: Pixels, region: str, face: Box | None) -> Pixels:
    """A region of gray frames, uint8 [n, H, W] -> [n, S, S] at its master size; without a face box it is the frame.

    Raises ValueError when the face box does not lie within the frame.
    """
    return crop(frames, box(region, face, *frames.shape[1:]), region)


def box(region: str, face: Box | None, height: int, width: int) -> Box:
    """Where a region lies in frames of this size. Raises ValueError when the face box does not lie within them."""
    whole = Box(0, 0, width, height)
    face = face or whole
    if min(face) < 0 or face.left + face.width > width or face.top + face.height > height:
        raise ValueError(f"the face box {tuple(face)} does not lie within the frame, {width} x {height} pixels")
    return whole if region == "frame" else within(region, face)


def within(region: str, face: Box) -> Box:
    """The region's box on a face, to the nearest pixel, at least one pixel wide and high."""
    left, top, right, bottom = SHARES[region]
    x, y = (left * face.width + 50) // 100, (top * face.height + 50) // 100
    x_end, y_end = (right * face.width + 50) // 100, (bottom * face.height + 50) // 100
    return Box(face.left + x, face.top + y, max(x_end - x, 1), max(y_end - y, 1))


def cut_aligned(frames: Pixels, region: str, points: Points, onset: Points) -> Pixels:
    """A region of gray frames, turned and scaled to the mean face, uint8 [n, S, S] at its master size.

    points: landmarks that each frame follows [n, 68, 2]; onset: those of the clip's first frame [68, 2], whose scale
    the whole clip keeps, so that pixels are neither skipped nor invented. Raises ValueError for an empty region.
    """
    side = max(round(abs(similarity(onset, 1).turn)), 1)
    parts = []
    for same in runs(points):
        warp = similarity(points[same.start], side)
        place = Box(0, 0, side, side) if region == "face" else bordered(region, on_canvas(points[same.start], warp))
        parts.append(crop(warped(frames[same], warp, side), _within_frame(place, side, side, region), region))
    return np.concatenate(parts)


def cut_unaligned(frames: Pixels, region: str, points: Points) -> Pixels:
    """A region of gray frames as it is, uint8 [n, S, S] at its master size; points as in `cut_aligned`."""
    height, width = frames.shape[1:]
    parts = []
    for same in runs(points):
        place = around(points[same.start]) if region == "face" else bordered(region, points[same.start])
        parts.append(crop(frames[same], _within_frame(place, height, width, region), region))
    return np.concatenate(parts)


def runs(points: Points) -> list[slice]:
    """Stretches of frames that follow the same landmarks."""
    changes = np.flatnonzero((points[1:] != points[:-1]).any(axis=(1, 2))) + 1
    edges = [0, *changes.tolist(), len(points)]
    return [slice(start, end) for start, end in pairwise(edges)]


def bordered(region: str, points: Points) -> Box:
    """A region's box by the paper's rule, to the nearest pixel."""
    left, top, right, bottom = BORDERS[region]
    return _corners(points[left, 0], points[top, 1], points[right, 0], points[bottom, 1])


def around(points: Points) -> Box:
    """The face's box: all points and a margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = (high - low) / MARGIN
    return _corners(*(low - margin), *(high + margin))


def _corners(left: float, top: float, right: float, bottom: float) -> Box:
    x, y, x_end, y_end = (int(np.floor(value + 0.5)) for value in (left, top, right, bottom))
    return Box(x, y, x_end - x, y_end - y)


def _within_frame(place: Box, height: int, width: int, region: str) -> Box:
    """The part of a box that lies in the frame. Raises ValueError when there is none."""
    left, top = max(place.left, 0), max(place.top, 0)
    right, bottom = min(place.left + place.width, width), min(place.top + place.height, height)
    if right <= left or bottom <= top:
        raise ValueError(f"by its landmarks {region} is empty or outside the frame, {width} x {height} pixels")
    return Box(left, top, right - left, bottom - top)


def crop(frames: Pixels, place: Box, region: str) -> Pixels:
    """A box of frames, uint8 [n, H, W] -> [n, S, S] at the region's master size."""
    part = frames[:, place.top : place.top + place.height, place.left : place.left + place.width]
    return area_resize(part, (MASTER[region], MASTER[region]))


def rule(master: str, landmarks: bool) -> list[object]:
    """What decides a master's pixels beside the video and its landmarks or face box, for the cache's names."""
    region = master.partition(".")[0]
    if not landmarks or region == "frame":
        return [region, MASTER[region], SHARES.get(region)]
    return [master, MASTER[region], BORDERS.get(region, MARGIN)]


def union(boxes: Sequence[Box]) -> Box:
    """The smallest box around boxes."""
    left, top = min(b.left for b in boxes), min(b.top for b in boxes)
    right, bottom = max(b.left + b.width for b in boxes), max(b.top + b.height for b in boxes)
    return Box(left, top, right - left, bottom - top)
