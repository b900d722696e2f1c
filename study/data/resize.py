"""Area resize of gray frames in integer arithmetic: the same bytes on every CPU. numpy only."""

from math import gcd

import numpy as np
import numpy.typing as npt

CHUNK = 64  # frames at a time: the work arrays stay in the cache


def area_resize(frames: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, W] -> uint8 [N, h, w]: each pixel is the mean of the area it covers, halves rounded up.

    Overlaps are whole numbers, so every sum is exact whatever the order in which BLAS adds: in float32 while sums
    stay below 2^24, in float64 (2^53) beyond.
    """
    if frames.shape[1:] == size:
        return frames
    rows, columns = overlaps(frames.shape[1], size[0]), overlaps(frames.shape[2], size[1])
    total = int(rows[0].sum() * columns[0].sum())
    small = 255 * total < 2**24
    real, whole = (np.float32, np.int32) if small else (np.float64, np.int64)
    rows, columns = rows.astype(real), columns.T.astype(real)
    out = np.empty((len(frames), *size), np.uint8)
    for at in range(0, len(frames), CHUNK):
        sums = (rows @ frames[at : at + CHUNK].astype(real) @ columns).astype(whole)
        out[at : at + CHUNK] = (2 * sums + total) // (2 * total)
    return out


def overlaps(old: int, new: int) -> npt.NDArray[np.int64]:
    """Overlap of each new pixel with each old one, int [new, old], in the largest unit that makes all of them whole."""
    unit = gcd(old, new)
    wide, narrow = old // unit, new // unit  # length of a new and of an old pixel
    starts, begins = np.arange(new)[:, None] * wide, np.arange(old)[None, :] * narrow
    ends = np.minimum(starts + wide, begins + narrow)
    return np.maximum(ends - np.maximum(starts, begins), 0)
