"""What a configuration shows its network: the regions, their size, and the pixels that they are sampled from.

Folds depend on it, so that this file is among those whose change a begun study refuses (study/trials/fold_identity.py).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the factors' file asks here for conflicts
    from search_spaces.config import TrialConfig


def streams(config: "TrialConfig") -> tuple[str, ...]:
    """The regions that the network sees, in the order of their streams."""
    return tuple(config.regions.split("+"))


def side(config: "TrialConfig", region: str) -> int:
    """Side of a region's stream in pixels: `crop`, and half of it for eyes and mouth (the paper's 64 and 32)."""
    return config.crop // 2 if region in ("eyes", "mouth") else config.crop


def master(config: "TrialConfig", region: str) -> str:
    """Name of the pixels that a region's stream is sampled from, in `Clips.pixels` and in the cache."""
    levels = [config.landmarks, config.alignment]
    changes = [level for level in levels if level in ("per_frame", "none")]
    return region if region == "frame" else ".".join([region, *changes])


def data_parts(config: "TrialConfig") -> tuple[str, ...]:
    """The parts of a dataset that decide what the network sees: keys of `Clips.digests`."""
    rate = ("fps",) if config.sampling == "rate" else ()
    return tuple(master(config, region) for region in streams(config)) + rate
