"""Area resize of gray frames in integer arithmetic: the same bytes on every CPU. numpy only."""

from math import gcd

import numpy as np
import numpy.typing as npt

CHUNK = 4  # frames at a time: the work arrays stay in the cache


def area_resize(frames: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, W] -> uint8 [N, h, w]: each pixel is the mean of the area it covers, halves rounded up.

    Overlaps are whole numbers, so every sum is exact whatever the order in which BLAS adds: in float32 while sums
    stay below 2^24, in float64 (2^53) beyond. H and h fall into as many equal parts as their greatest common divisor
    says, W and w likewise, and a part of the new frame covers only its own part of the old one.
    """
    if frames.shape[1:] == size:
        return frames
    (height, width), (high, wide) = frames.shape[1:], size
    bands, stripes = gcd(height, high), gcd(width, wide)
    rows = overlaps(height // bands, high // bands)
    columns = overlaps(width // stripes, wide // stripes).T
    total = int(rows[0].sum() * columns[:, 0].sum())
    real, whole = (np.float32, np.int32) if 255 * total < 2**24 else (np.float64, np.int64)
    out = np.empty((len(frames), *size), np.uint8)
    for at in range(0, len(frames), CHUNK):
        part = frames[at : at + CHUNK].astype(np.float32).reshape(-1, height // bands, width)
        sums = (rows.astype(np.float32) @ part).astype(real, copy=False).reshape(-1, width // stripes)
        sums = (sums @ columns.astype(real)).astype(whole).reshape(-1, *size)
        out[at : at + CHUNK] = (2 * sums + total) // (2 * total)
    return out


def overlaps(old: int, new: int) -> npt.NDArray[np.int64]:
    """Overlap of each new pixel with each old one, int [new, old], in the largest unit that makes all of them whole."""
    unit = gcd(old, new)
    wide, narrow = old // unit, new // unit  # length of a new and of an old pixel
    starts, begins = np.arange(new)[:, None] * wide, np.arange(old)[None, :] * narrow
    ends = np.minimum(starts + wide, begins + narrow)
    return np.maximum(ends - np.maximum(starts, begins), 0)
