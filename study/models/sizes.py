"""What a configuration's network takes, be it losolab's or the user's own: its size, its memory, its fold group."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_spaces.config import BLOCKS, CLASSICAL, TrialConfig
from search_spaces.errors import UserError
from search_spaces.network_inputs import side, streams
from study.models import geometry
from study.models.geometry import Geometry

if TYPE_CHECKING:  # the plan of a study of losolab's network needs no torch
    from study.models.user_network_probe import Probe


_SKLEARN = 150 * 2**20  # bytes that its import takes


def network_size(config: TrialConfig, n_classes: int) -> "Geometry | Probe | Classical":
    """Of a configuration's network `parameters` and `multiply_adds`. Raises UserError where it cannot be built."""
    if config.network in CLASSICAL:
        return _classical(config, n_classes)
    return geometry.geometry(config, n_classes) if config.network == BLOCKS else _probe(config, n_classes)


@dataclass(frozen=True)
class Classical:
    """Of a baseline that no gradient trains: `features` of a clip, the weights of its SVM, products to predict one."""

    features: int
    parameters: int
    multiply_adds: int


def _classical(config: TrialConfig, n_classes: int) -> Classical:
    if config.network == "majority":
        return Classical(0, 0, 0)
    features = len(streams(config)) * config.lbp_blocks**2 * 3 * patterns(config.lbp_neighbours)
    machines = n_classes if n_classes > 2 else 1
    voxels = sum(config.frames * side(config, region) ** 2 for region in streams(config))
    circles = 3 * voxels * config.lbp_neighbours * 4  # each point is interpolated from four pixels
    return Classical(features, machines * (features + 1), machines * features + circles)


def patterns(neighbours: int) -> int:
    """Those that LBP-TOP tells apart: with at most two changes along the circle, and one bin for all others."""
    return neighbours * (neighbours - 1) + 3


def known_size(config: TrialConfig, n_classes: int) -> "Geometry | Probe | Classical | None":
    """The same, or None where the user's own network is not at hand, as where a report is written elsewhere."""
    try:
        return network_size(config, n_classes)
    except (UserError, ModuleNotFoundError):
        return None


def trial_bytes(config: TrialConfig, n_classes: int, folds: int, n_clips: int, device: str = "cpu") -> int:
    """Estimate of what a process takes at its peak that trains groups of so many folds, on clips of master arrays.

    The masters themselves come beside: the processes of a machine share them. On a GPU, of the card's memory.
    """
    pixels = sum(config.frames * side(config, region) ** 2 for region in streams(config))
    own = training_bytes(config, n_classes, folds, device)
    if config.network in CLASSICAL:
        features = _classical(config, n_classes).features
        own = 5 * 8 * n_clips * features + (_SKLEARN if features else 0)  # the table, and a fold's part, copied, scaled
    return geometry.INTERPRETER + own + 2 * n_clips * pixels


def training_bytes(config: TrialConfig, n_classes: int, folds: int, device: str = "cpu") -> int:
    """Estimate of the bytes that training `folds` folds as one network takes, beside interpreter and clips.

    Of a user's own network: weights, gradients, the optimiser's two states, and what the forward pass keeps, with as
    much again for the backward pass.
    """
    if config.network in CLASSICAL:
        return 0
    if config.network == BLOCKS:
        return geometry.training_bytes(config, n_classes, folds, device)
    own = _probe(config, n_classes)
    return folds * (4 * own.weights + 2 * config.batch_size * own.kept)


def fold_group(config: TrialConfig, n_classes: int, memory_bytes: int, device: str, n_folds: int) -> int:
    """How many of a trial's folds to train as one network: what fits in the declared memory.

    On a CPU a user's own network trains fold by fold: mapped by torch.func it took 1.3 to 2.7 times as long there.
    """
    if config.network in CLASSICAL:
        return n_folds
    if config.network == BLOCKS:
        return geometry.fold_group(config, n_classes, memory_bytes, device, n_folds)
    most = 1 if device == "cpu" or _probe(config, n_classes).alone else n_folds
    free = memory_bytes - geometry.INTERPRETER
    fitting = [size for size in range(1, most + 1) if training_bytes(config, n_classes, size, device) <= free]
    return max(fitting, default=1)


def gpu_problem(config: TrialConfig, n_classes: int) -> str | None:
    """Why a user's own network would fail on a GPU; None where nothing is known against it."""
    from study.models import user_network_probe

    return user_network_probe.gpu_problem(config, n_classes)


def _probe(config: TrialConfig, n_classes: int) -> "Probe":
    from study.models.user_network_probe import probe

    return probe(config, n_classes)
