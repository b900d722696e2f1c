"""From master arrays to what a configuration sees: its frames, at its size."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from search_spaces.network_inputs import master, side, streams
from study.data.clips import Clips, Seconds
from study.data.resize import area_resize
from study.system.random_bits import permutation

START = 72  # the paper's first frame on CAS(ME)^2 (arXiv 1904.01390)

Whole = npt.NDArray[np.int64]


class Places(NamedTuple):
    """Where a clip's T frames come from: frame before[t], and share[t] / parts of the way to the next one."""

    before: Whole
    share: Whole
    parts: int = 1


@lru_cache(maxsize=1)  # all groups of folds of a trial see the same
def sample(clips: Clips, config: TrialConfig, seed: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Every region's pixels, uint8 [N, T, side, side], read-only: T frames of each clip by `sampling`, resized by area.

    A frame between two others is blended from them after the resize, halves rounded up. `single_frame` repeats the
    apex. `shuffled_time` puts the clip's frames into a random order before anything else, one for all regions, from
    the stream of (seed, clip).
    """
    apexes = found_apexes(clips, config)
    places = [_places(clips, clip, config, int(apexes[clip])) for clip in range(len(clips))]
    out = {}
    for region in streams(config):
        size = side(config, region)
        out[region] = np.empty((len(clips), config.frames, size, size), np.uint8)
        for clip, (own, pixels) in enumerate(zip(places, out[region], strict=True)):
            order = _order(clips, clip, config, seed)
            pixels[:] = _blended(clips.pixels[master(config, region)], clips.first[clip] + order, own, size)
        out[region].flags.writeable = False
    return out


def found_apexes(clips: Clips, config: TrialConfig) -> Whole:
    """Frames from onset to apex [N] by the rule `apex`; the middle where no apex is annotated.

    `max_difference`: the frame whose mean absolute difference to the onset frame, summed over what the configuration
    sees, is the largest; the first of equals.
    """
    middle = (clips.frames - 1) // 2
    if config.apex == "midpoint":
        return middle
    if config.apex == "annotated":
        return np.where(clips.apex >= 0, clips.apex, middle)
    return np.array([int(np.sum(_differences(clips, clip, config), axis=0).argmax()) for clip in range(len(clips))])


def _differences(clips: Clips, clip: int, config: TrialConfig) -> list[npt.NDArray[np.float64]]:
    """Of each region, the mean absolute difference of the clip's frames to its first one."""
    rows = slice(clips.first[clip], clips.first[clip] + clips.frames[clip])
    regions = [clips.pixels[master(config, region)][rows].astype(np.int16) for region in streams(config)]
    return [np.abs(frames - frames[0]).sum(axis=(1, 2), dtype=np.int64) / frames[0].size for frames in regions]


def evenly(frames: int, count: int) -> Whole:
    """`count` frame numbers evenly from 0 to frames - 1: round(i (frames - 1) / (count - 1)), halves up. count >= 2."""
    return (2 * np.arange(count) * (frames - 1) + count - 1) // (2 * (count - 1))


def positions(config: TrialConfig, frames: int, fps: float, apex: int, times: Seconds | None = None) -> Whole:
    """Frame numbers [T] that `sampling` asks of a clip; those from `frames` on are not there: the clip is too short.

    times: as in Clips, where the frame rate varies; then fps is not asked.
    """
    step = np.arange(config.frames)
    match config.sampling:
        case "rate" if times is not None:
            middles = (times[1:] + times[:-1]) / 2  # halves up, also where the last bit of a sum says otherwise
            return np.searchsorted(middles, step / config.rate + 1e-9, side="right")
        case "rate":
            return (step * fps / config.rate + 0.5).astype(np.int64)
        case "start_72":
            return START + step
        case "centre" if frames >= config.frames:
            return (frames - config.frames) // 2 + step
        case "uniform" if frames >= config.frames:
            return evenly(frames, config.frames)
        case "onset_apex_offset" if frames >= config.frames:
            return through(apex, frames, config.frames)
    return step


def through(apex: int, frames: int, count: int) -> Whole:
    """Frame numbers evenly in both halves: from the onset to the apex, number count // 2, and on to the offset.

    Three are onset, apex and offset; two are onset and offset.
    """
    if count == 2:
        return np.array([0, frames - 1])
    half = count // 2 + 1
    return np.concatenate([evenly(apex + 1, half), apex + evenly(frames - apex, count - half + 1)[1:]])


def frames_needed(config: TrialConfig, fps: float) -> int:
    """Frames that a clip must have for `sampling` at a steady frame rate."""
    match config.sampling:
        case "interpolate":
            return 1
        case "start_72":
            return START + config.frames
        case "rate":
            return int((config.frames - 1) * fps / config.rate + 0.5) + 1
    return config.frames


def is_short(config: TrialConfig, frames: int, fps: float, times: Seconds | None = None) -> bool:
    """Whether a clip has fewer frames than `sampling` asks for; then the rule `short` decides what is seen."""
    if config.sampling == "rate" and times is not None:
        return bool(positions(config, frames, fps, 0, times)[-1] >= frames)
    return frames < frames_needed(config, fps)


def _places(clips: Clips, clip: int, config: TrialConfig, apex: int) -> Places:
    frames, fps, times = int(clips.frames[clip]), float(clips.fps[clip]), clips.times.get(clip)
    none = np.zeros(config.frames, np.int64)
    if config.control == "single_frame":
        return Places(none + apex, none)
    short = is_short(config, frames, fps, times)
    if config.sampling == "interpolate" or (short and config.short == "interpolate"):
        parts = config.frames - 1
        before, share = np.divmod(np.arange(config.frames) * (frames - 1), parts)
        return Places(before, share, parts)
    if short and config.short == "drop":
        raise ValueError(f"clip {clips.ids[clip]} is too short and should have been dropped from the dataset")
    if short and config.short == "repeat_evenly":
        return Places(evenly(frames, config.frames), none)
    return Places(np.minimum(positions(config, frames, fps, apex, times), frames - 1), none)


def _order(clips: Clips, clip: int, config: TrialConfig, seed: int) -> Whole:
    """The clip's frames as they are, or in random order."""
    frames = int(clips.frames[clip])
    if config.control == "shuffled_time":
        return permutation(stream("shuffled_time", seed, str(clips.ids[clip])), frames)
    return np.arange(frames)


def _blended(pixels: npt.NDArray[np.uint8], rows: Whole, places: Places, size: int) -> npt.NDArray[np.uint8]:
    """A clip's T frames from its rows of a master, each resized once."""
    after = np.minimum(places.before + (places.share > 0), len(rows) - 1)
    distinct, back = np.unique(np.concatenate([places.before, after]), return_inverse=True)
    frames = area_resize(pixels[rows[distinct]], (size, size))
    first, second = frames[back[: len(after)]], frames[back[len(after) :]]
    if not places.share.any():
        return first
    share, parts = places.share[:, None, None], places.parts
    return ((2 * (first * (parts - share) + second * share) + parts) // (2 * parts)).astype(np.uint8)
