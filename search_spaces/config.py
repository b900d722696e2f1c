"""TrialConfig: a level for every factor that can change a prediction. Standard library only."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin

from search_spaces.digests import digest
from search_spaces.network_inputs import side, streams
from search_spaces.protocols import LOSO, protocol

Regions = Literal["face", "eyes", "mouth", "eyes+mouth", "face+eyes+mouth", "frame"]
Fusion = Literal["none", "intermediate", "late"]
Sampling = Literal["uniform", "rate", "first", "centre", "start_72", "onset_apex_offset", "interpolate"]
Checkpoint = Literal["last", "inner_validation", "mean_of_last", "test_oracle"]
Control = Literal["none", "permuted_labels", "shuffled_labels", "single_frame", "shuffled_time"]
BLOCKS = "blocks"  # losolab's own network
CLASSICAL = ("majority", "lbp_top")  # baselines that no gradient trains

# The paper's three networks by name; the YAML key `architecture` sets both factors.
ARCHITECTURES: dict[str, dict[str, str]] = {
    "full_face": {"regions": "face", "fusion": "none"},
    "fusion_intermediate": {"regions": "eyes+mouth", "fusion": "intermediate"},
    "fusion_late": {"regions": "eyes+mouth", "fusion": "late"},
}


def factor(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    active: Callable[["TrialConfig"], bool] | None = None,
    decides: str = "",
) -> Any:
    """A field of TrialConfig with its documentation, unit, range (both ends allowed), and when it has an effect.

    decides: what it decides besides predictions, for those who ask `deciding`: how much `time` a fold takes, how much
    `memory`, which `pixels` are decoded, what `network` of the user's own is built.
    """
    told = {"doc": doc, "unit": unit, "low": low, "high": high, "active": active, "decides": frozenset(decides.split())}
    return dataclasses.field(default=default, metadata=told)


def _of_blocks(config: "TrialConfig") -> bool:
    return config.network == BLOCKS


def _by_gradient(config: "TrialConfig") -> bool:
    return config.network not in CLASSICAL


def _of_lbp_top(config: "TrialConfig") -> bool:
    return config.network == "lbp_top"


@dataclass(frozen=True)
class TrialConfig:
    """A configuration. The defaults are the paper's full-face network on SMIC (arXiv 1904.01390).

    A default never changes its meaning, and a new factor's default is what the code did before it came:
    `key` leaves defaults out, so that a new factor orphans no fold of any ledger.
    """

    network: str = factor(
        BLOCKS,
        "blocks of convolutions as in the paper, `package.module:factory` of your own (networks.md), or a baseline: "
        "the commonest class (majority), LBP-TOP with a linear SVM (lbp_top)",
        decides="time network memory",
    )
    regions: Regions = factor(
        "face", "what the network sees; each region is a stream of its own", decides="time pixels network memory"
    )
    fusion: Fusion = factor(
        "none", "where streams meet: before the dense layers, or after them", active=_of_blocks, decides="time memory"
    )
    input: Literal["gray", "frame_difference"] = factor(
        "gray",
        "gray frames, or their difference to the onset frame",
        active=_by_gradient,
        decides="time network",
    )
    frames: int = factor(
        18, "frames of a clip that the network sees", unit="frames", low=2, high=256, decides="time network memory"
    )
    sampling: Sampling = factor(
        "uniform",
        "which frames: evenly from onset to offset; at `rate` from the onset; the first, the middle, or those from 72 "
        "on (the paper's); evenly with the apex in the middle; or linear interpolation from onset to offset",
    )
    rate: float = factor(
        100.0,
        "frames a second, by the nearest frame",
        unit="Hz",
        low=1.0,
        high=1000.0,
        active=lambda c: c.sampling == "rate",
    )
    short: Literal["repeat_evenly", "repeat_last", "interpolate", "drop"] = factor(
        "repeat_evenly",
        "a clip with fewer frames than that: all of them repeated evenly, the last one repeated, interpolation, or no "
        "such clip in any configuration of the study",
        active=lambda c: c.sampling != "interpolate",
    )
    apex: Literal["annotated", "midpoint", "max_difference"] = factor(
        "annotated",
        "annotated (the middle where it is not), the middle, or the frame that differs most from the onset",
        active=lambda c: c.sampling == "onset_apex_offset" or c.control == "single_frame",
    )
    landmarks: Literal["onset", "per_frame"] = factor(
        "onset",
        "where clips have landmarks: regions follow those of the onset frame, or each frame's own (the paper's)",
        active=lambda c: c.regions != "frame",
        decides="pixels",
    )
    alignment: Literal["similarity", "none"] = factor(
        "similarity",
        "where clips have landmarks: the face is turned and scaled to a mean face, or cut as it is (the paper's)",
        active=lambda c: c.regions != "frame",
        decides="pixels",
    )
    crop: int = factor(
        64,
        "side of face and frame; eyes and mouth have half of it",
        unit="pixels",
        low=8,
        high=128,
        decides="time network memory",
    )
    depth: int = factor(1, "convolution blocks", low=1, high=4, active=_of_blocks, decides="time memory")
    filters: int = factor(
        32,
        "filters of the first block; each later block doubles them",
        low=1,
        high=256,
        active=_of_blocks,
        decides="time memory",
    )
    kernel_space: int = factor(
        3,
        "height and width of the first block's kernel",
        unit="pixels",
        low=1,
        high=15,
        active=_of_blocks,
        decides="time memory",
    )
    kernel_time: int = factor(
        15,
        "length of the first block's kernel",
        unit="frames",
        low=1,
        high=63,
        active=_of_blocks,
        decides="time memory",
    )
    head: Literal["flatten", "pool"] = factor(
        "flatten", "the paper's flatten, or adaptive averages on a fixed grid", active=_of_blocks, decides="time memory"
    )
    grid: int = factor(
        3,
        "cells a side of the pooled grid, in time as in space",
        low=1,
        high=16,
        active=lambda c: c.head == "pool" and _of_blocks(c),
        decides="time memory",
    )
    hidden: int = factor(
        128,
        "units of the last dense layer; fusion puts 8 x hidden before it",
        low=1,
        high=4096,
        active=_of_blocks,
        decides="time memory",
    )
    dense_activation: Literal["relu", "none"] = factor(
        "relu", "between the dense layers; the paper's fusion has none", active=_of_blocks
    )
    normalisation: Literal["standard", "mean_max", "clip"] = factor(
        "standard",
        "minus the mean, divided by the standard deviation, or by the maximum (the paper's); of the fold's training "
        "clips, or each clip by itself",
        active=_by_gradient,
    )
    dropout: float = factor(
        0.5, "share of units dropped, after each block and dense layer", low=0.0, high=0.95, active=_of_blocks
    )
    optimiser: Literal["sgd", "nesterov", "adamw"] = factor(
        "sgd",
        "stochastic gradient descent, the same with Nesterov's momentum, or AdamW (betas .9 and .999)",
        active=_by_gradient,
        decides="time memory",
    )
    learning_rate: float = factor(0.01, "step size of the optimiser", low=1e-7, high=10.0, active=_by_gradient)
    momentum: float = factor(
        0.0,
        "momentum of SGD",
        low=0.0,
        high=0.999,
        active=lambda c: c.optimiser in ("sgd", "nesterov") and _by_gradient(c),
        decides="memory",
    )
    weight_decay: float = factor(
        0.0,
        "of all weights and biases: added to the gradient (SGD), or apart from it (AdamW)",
        low=0.0,
        high=1.0,
        active=_by_gradient,
        decides="memory",
    )
    schedule: Literal["constant", "cosine"] = factor(
        "constant",
        "the learning rate: constant, or falling to 0 along half a cosine over all steps",
        active=_by_gradient,
    )
    class_weights: Literal["none", "balanced"] = factor(
        "none", "in the loss: none, or inverse to the class's share of the fold's training clips"
    )
    flip: float = factor(
        0.0,
        "augmentation: share of the clips that an epoch shows mirrored",
        low=0.0,
        high=1.0,
        active=_by_gradient,
        decides="time",
    )
    crop_shift: int = factor(
        0,
        "augmentation: an epoch moves a clip by up to that, each way; edges repeat",
        unit="pixels",
        low=0,
        high=32,
        active=_by_gradient,
        decides="time",
    )
    temporal_jitter: int = factor(
        0,
        "augmentation: an epoch moves a clip in time by up to that; its ends repeat",
        unit="frames",
        low=0,
        high=64,
        active=_by_gradient,
        decides="time",
    )
    batch_size: int = factor(
        16,
        "clips a step, held-out clips of the folds included",
        unit="clips",
        low=1,
        high=4096,
        active=_by_gradient,
        decides="time memory",
    )
    epochs: int = factor(100, "passes over the clips", low=1, high=100_000, active=_by_gradient, decides="time")
    precision: Literal["float32", "float64", "bfloat16", "tf32"] = factor(
        "float32",
        "number format: of everything; bfloat16 for convolutions, with TF32 for a GPU's other products; or TF32 for "
        "all products (on a GPU: a CPU has none, and takes float32)",
        active=_by_gradient,
        decides="time network memory",
    )
    control: Control = factor("none", "a control arm: what the data loses before training")
    protocol: str = factor(LOSO, "how clips are divided into folds (above); the study's own, unless an arm has another")
    checkpoint: Checkpoint = factor(
        "last",
        "which epoch's network predicts: the last; the one with the least loss on inner validation subjects, which "
        "stay out of training; the mean of the probabilities of the last `last_epochs`; or, to see what it is worth, "
        "the most accurate on the very clips that are held out",
        active=_by_gradient,
        decides="time",
    )
    inner_share: float = factor(
        0.2,
        "share of a fold's training subjects that validate",
        low=0.05,
        high=0.5,
        active=lambda c: c.checkpoint == "inner_validation" and _by_gradient(c),
    )
    last_epochs: int = factor(
        10,
        "whose probabilities are averaged",
        unit="epochs",
        low=2,
        high=1000,
        active=lambda c: c.checkpoint == "mean_of_last" and _by_gradient(c),
        decides="time",
    )
    lbp_blocks: int = factor(
        4, "cells a side of the face in which patterns are counted", low=1, high=16, active=_of_lbp_top, decides="time"
    )
    lbp_radius: int = factor(1, "of a pattern's circle, in pixels and in frames", low=1, high=8, active=_of_lbp_top)
    lbp_neighbours: int = factor(8, "points on a pattern's circle", low=4, high=12, active=_of_lbp_top, decides="time")

    def key(self) -> str:
        """Identity (SHA-256): the digest of the active factors that are not at their default."""
        return digest(self.explicit())

    def explicit(self) -> dict[str, Any]:
        """The active factors that are not at their default: the configuration's identity, in words."""
        levels = {f.name: getattr(self, f.name) for f in fields(self) if self.is_active(f)}
        return {
            name: float(level) if FACTORS[name].type is float else level  # 0 and 0.0 are one level
            for name, level in levels.items()
            if level != FACTORS[name].default
        }

    def is_active(self, f: "dataclasses.Field[Any]") -> bool:
        """Whether factor f has an effect in this configuration."""
        active = f.metadata["active"]
        return active is None or bool(active(self))

    @property
    def own_network(self) -> bool:
        """Whether its network is one of the user's own, by package.module:factory."""
        return ":" in self.network

    @property
    def of_new_subjects(self) -> bool:
        """Whether its scores are of subjects that it never saw, neither to train nor to choose an epoch by."""
        oracle = self.checkpoint == "test_oracle" and _by_gradient(self)
        return protocol(self.protocol).by_subject and not oracle

    def conflicts(self) -> list[str]:
        """Levels that contradict each other, one sentence each; empty when there are none."""
        several, found = len(streams(self)) > 1, []
        if _of_blocks(self) and several and self.fusion == "none":
            found.append(f"regions: {self.regions} has several streams, so fusion: none must be intermediate or late")
        if _of_blocks(self) and not several and self.fusion != "none":
            found.append(f"regions: {self.regions} has one stream, so fusion: {self.fusion} must be none")
        if self.optimiser == "nesterov" and not self.momentum and _by_gradient(self):
            found.append("optimiser: nesterov needs momentum above 0, e.g. 0.9")
        if self.precision == "bfloat16" and self.own_network:
            found.append(
                f"precision: bfloat16 is of losolab's own convolutions, and network {self.network} computes with its "
                "own; take float32, tf32 or float64, or cast inside the network (torch.autocast)"
            )
        if self.checkpoint == "mean_of_last" and self.last_epochs > self.epochs and _by_gradient(self):
            found.append(f"last_epochs: {self.last_epochs} of {self.epochs} epochs; at most as many")
        smallest = min(side(self, region) for region in streams(self))
        if _of_lbp_top(self):
            found += self._unfit_patterns(smallest)
        for name, size, unit in ("crop_shift", smallest, "pixels"), ("temporal_jitter", self.frames, "frames"):
            if 2 * (most := getattr(self, name)) > size:
                found.append(f"{name}: {most} of {size} {unit} leave less than half of them; at most {size // 2}")
        return found

    def _unfit_patterns(self, smallest: int) -> Iterator[str]:
        """Why patterns have no room: each needs its circle around it, on every axis."""
        round_it = 2 * self.lbp_radius
        if self.frames <= round_it:
            yield f"lbp_radius: {self.lbp_radius} leaves none of {self.frames} frames; at most {(self.frames - 1) // 2}"
        if smallest - round_it < self.lbp_blocks:
            yield f"lbp_blocks: {self.lbp_blocks} cells of {smallest - round_it} pixels; at most as many"


def resolve(levels: dict[str, Any]) -> dict[str, Any]:
    """Levels as written in a study file -> levels of factors: the shorthand `architecture` sets regions and fusion."""
    rest = {name: level for name, level in levels.items() if name != "architecture"}
    return {**ARCHITECTURES[levels["architecture"]], **rest} if "architecture" in levels else rest


def architecture(config: TrialConfig) -> str:
    """The paper's name for a configuration's regions and fusion, or `regions/fusion` where it has none."""
    own = {"regions": config.regions, "fusion": config.fusion}
    return next((name for name, parts in ARCHITECTURES.items() if parts == own), f"{config.regions}/{config.fusion}")


def choices(f: "dataclasses.Field[Any]") -> tuple[Any, ...]:
    """The levels of a factor that has a fixed list of them, else ()."""
    return get_args(f.type) if get_origin(f.type) is Literal else ()


FACTORS = {f.name: f for f in fields(TrialConfig)}


@cache
def deciding(what: str) -> tuple[str, ...]:
    """The factors that decide `time`, `memory`, `pixels` or the `network`, as they declare it."""
    return tuple(name for name, f in FACTORS.items() if what in f.metadata["decides"])
