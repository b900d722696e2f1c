"""From master arrays to what a configuration sees: its frames, at its size."""

import numpy as np
import numpy.typing as npt

from search_spaces.config import TrialConfig, side
from search_spaces.identity import stream
from study.data.clips import Clips
from study.data.resize import area_resize
from study.models.bits import permutation


def sample(clips: Clips, config: TrialConfig, seed: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Every region's pixels, uint8 [N, T, side, side]: T frames evenly from onset to offset, resized by area.

    `single_frame` repeats the apex (the middle where it is unknown). `shuffled_time` puts the clip's frames into a
    random order before anything else, one for all regions, from the stream of (seed, clip).
    """
    rows = np.stack([_rows(clips, clip, config, seed) for clip in range(len(clips))])
    return {region: _resized(clips.pixels[region], rows, side(config, region)) for region in config.streams()}


def evenly(frames: int, count: int) -> npt.NDArray[np.int64]:
    """`count` frame numbers evenly from 0 to frames - 1: round(i (frames - 1) / (count - 1)), halves up. count >= 2."""
    return (2 * np.arange(count) * (frames - 1) + count - 1) // (2 * (count - 1))


def _rows(clips: Clips, clip: int, config: TrialConfig, seed: int) -> npt.NDArray[np.int64]:
    """The rows of the pixel arrays that a clip's T frames come from."""
    frames = int(clips.frames[clip])
    chosen = evenly(frames, config.frames)
    if config.control == "single_frame":
        chosen = np.full(config.frames, clips.apex[clip] if clips.apex[clip] >= 0 else (frames - 1) // 2)
    if config.control == "shuffled_time":
        chosen = permutation(stream("shuffled_time", seed, str(clips.ids[clip])), frames)[chosen]
    return clips.first[clip] + chosen


def _resized(pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
    """A clip at a time: the float products of the resize need eight times the memory of what they return."""
    out = np.empty((*rows.shape, size, size), dtype=np.uint8)
    for clip, own in enumerate(rows):
        distinct, back = np.unique(own, return_inverse=True)
        out[clip] = area_resize(pixels[distinct], (size, size))[back]
    return out
