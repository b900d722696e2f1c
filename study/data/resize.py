"""Area resize of gray frames in integer arithmetic: the same bytes on every CPU. numpy only."""

from functools import lru_cache
from math import gcd
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CHUNK = 4  # frames at a time: the work arrays stay in the cache

Whole = npt.NDArray[np.int64]


class Taps(NamedTuple):
    """The old rows that each new row lies over, nearest first, and how far: [K, new] each, and what a new row sums."""

    rows: Whole
    overlaps: Whole
    total: int


def area_resize(frames: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, W] -> uint8 [N, h, w]: each pixel is the mean of the area it covers, halves rounded up.

    Overlaps are whole numbers, so every sum is exact whatever the order in which BLAS adds: in float32 while sums
    stay below 2^24, in float64 (2^53) beyond. W and w fall into as many equal stripes as their greatest common divisor
    says, and a stripe of the new frame covers only its own stripe of the old one.
    """
    if frames.shape[1:] == size:
        return frames
    (height, width), (high, wide) = frames.shape[1:], size
    stripes, down = gcd(width, wide), taps(height, high)
    columns = overlaps(width // stripes, wide // stripes).T
    total = down.total * int(columns[:, 0].sum())
    real, whole = (np.float32, np.int32) if 255 * total < 2**24 else (np.float64, np.int64)
    out = np.empty((len(frames), *size), np.uint8)
    for at in range(0, len(frames), CHUNK):
        rows = squashed(frames[at : at + CHUNK], down).astype(real).reshape(-1, width // stripes)
        sums = (rows @ columns.astype(real)).astype(whole).reshape(-1, *size)
        sums *= 2
        sums += total
        sums //= 2 * total
        out[at : at + CHUNK] = sums
    return out


def squashed(frames: npt.NDArray[np.uint8], down: Taps) -> npt.NDArray[np.unsignedinteger]:
    """Frames [N, H, W] -> [N, h, W]: for each new row the sum of the old ones by their overlaps.

    A new row lies over few old ones, so that adding these is a tenth of the work of a product with all overlaps.
    """
    kind = np.uint16 if 255 * down.total < 2**16 else np.uint32
    source = frames.astype(kind)
    parts = (source.take(rows, axis=1) for rows in down.rows)
    sums = next(parts)
    sums *= down.overlaps[0].astype(kind)[:, None]
    for part, shares in zip(parts, down.overlaps[1:], strict=True):
        part *= shares.astype(kind)[:, None]
        sums += part
    return sums


@lru_cache
def taps(old: int, new: int) -> Taps:
    """The overlaps that are not nothing; one that pads the shorter lists counts 0."""
    shares = overlaps(old, new)
    first, most = (shares > 0).argmax(axis=1), int((shares > 0).sum(axis=1).max())
    rows = np.minimum(first + np.arange(most)[:, None], old - 1)
    own = shares[np.arange(new), rows]
    own[first + np.arange(most)[:, None] >= old] = 0
    return Taps(rows, own, int(shares[0].sum()))


@lru_cache(maxsize=16)
def overlaps(old: int, new: int) -> Whole:
    """Overlap of each new pixel with each old one, int [new, old], in the largest unit that makes all of them whole."""
    unit = gcd(old, new)
    wide, narrow = old // unit, new // unit  # length of a new and of an old pixel
    starts, begins = np.arange(new)[:, None] * wide, np.arange(old)[None, :] * narrow
    ends = np.minimum(starts + wide, begins + narrow)
    return np.maximum(ends - np.maximum(starts, begins), 0)
