"""Normalisation: what is subtracted from pixels and what they are divided by, from exact integer sums."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

Moments = npt.NDArray[np.int64]  # [N, 4]: of each clip's pixels their number, sum, sum of squares, maximum


def moments(frames: npt.NDArray[np.uint8], difference: bool) -> Moments:
    """Of every clip's pixels [N, T, H, W], or of their signed differences to its first frame."""
    return np.array([_moments(clip.astype(np.int64) - (clip[:1] if difference else 0)) for clip in frames])


def fit(clips: Moments, normalisation: str) -> tuple[float, float]:
    """Mean and scale of these clips' pixels: their standard deviation, or for `mean_max` the maximum less the mean.

    A scale of 0 (pixels all the same) becomes 1.
    """
    count, total, squares = (int(part) for part in clips[:, :3].sum(axis=0))
    mean = total / count
    scale = int(clips[:, 3].max()) - mean if normalisation == "mean_max" else sqrt(count * squares - total**2) / count
    return mean, scale or 1.0


def table(sets: Sequence[Moments], normalisation: str) -> npt.NDArray[np.float64]:
    """Mean and scale of each set of clips, [2, sets]."""
    return np.array([fit(clips, normalisation) for clips in sets]).T


def _moments(pixels: npt.NDArray[np.int64]) -> tuple[int, int, int, int]:
    return pixels.size, int(pixels.sum()), int((pixels**2).sum()), int(pixels.max())
