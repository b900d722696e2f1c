"""LBP-TOP: how often each local binary pattern occurs in a clip, in three orthogonal planes and a grid of cells.

Zhao and Pietikäinen, "Dynamic texture recognition using local binary patterns", PAMI 2007; uniform patterns, each with
a bin of its own for every rotation. The baseline of SMIC, CASME II and SAMM.
"""

from dataclasses import fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from skimage.feature import local_binary_pattern

from search_spaces.config import TrialConfig
from search_spaces.network_inputs import streams
from study.data.clips import Clips
from study.data.sampling import sample
from study.models.sizes import patterns

Floats = npt.NDArray[np.float64]

# The factors that decide what is counted.
_OF_PIXELS = ("regions", "frames", "sampling", "rate", "short", "apex", "landmarks", "alignment", "crop")
_OF_PATTERNS = ("network", "lbp_blocks", "lbp_radius", "lbp_neighbours")
_OF_TIME = ("single_frame", "shuffled_time")  # controls that change frames; others leave them


def features(clips: Clips, config: TrialConfig, seed: int) -> Floats:
    """The histograms of every clip [N, features], read-only; counted once for all folds and seeds that see the same."""
    shown = config.control if config.control in _OF_TIME else "none"
    levels = {f.name: getattr(config, f.name) for f in fields(config) if f.name in _OF_PIXELS + _OF_PATTERNS}
    return _features(clips, TrialConfig(control=shown, **levels), seed if shown == "shuffled_time" else 0)


@lru_cache(maxsize=2)
def _features(clips: Clips, config: TrialConfig, seed: int) -> Floats:
    pixels = sample(clips, config, seed)
    counted = [
        np.concatenate([histograms(pixels[region][clip], config).ravel() for region in streams(config)])
        for clip in range(len(clips))
    ]
    found = np.stack(counted)
    found.flags.writeable = False
    return found


def histograms(volume: npt.NDArray[np.uint8], config: TrialConfig) -> Floats:
    """Shares of the patterns of a clip [T, H, W], by cell, plane (XY, XT, YT) and pattern: [cells^2, 3, bins].

    Only places whose circle lies within the clip on all three axes are counted, the same ones in each plane.
    """
    radius, cells = config.lbp_radius, config.lbp_blocks
    inner = (slice(radius, -radius),) * 3
    planes = [np.moveaxis(_patterns(np.moveaxis(volume, axis, 0), config), 0, axis)[inner] for axis in range(3)]
    _, height, width = planes[0].shape
    rows, columns = (np.arange(size) * cells // size for size in (height, width))
    cell = np.broadcast_to(rows[:, None] * cells + columns, planes[0].shape)
    size = patterns(config.lbp_neighbours)
    counts = [np.bincount((cell * size + plane).ravel(), minlength=cells**2 * size) for plane in planes]
    table = np.stack([own.reshape(cells**2, size) for own in counts], axis=1).astype(np.float64)
    return np.asarray(table / table.sum(axis=2, keepdims=True))


def _patterns(images: npt.NDArray[np.uint8], config: TrialConfig) -> npt.NDArray[np.int64]:
    """The pattern around each pixel of each image."""
    made = [local_binary_pattern(image, config.lbp_neighbours, config.lbp_radius, "nri_uniform") for image in images]
    return np.stack(made).astype(np.int64)
