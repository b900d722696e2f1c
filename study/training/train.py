"""Training: the folds of a group as one network, from clips to the probabilities of held-out clips. torch only."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.config import BLOCKS, TrialConfig
from search_spaces.digests import stream
from study.data.clips import Clips
from study.data.sampling import sample
from study.models import gpu, normalisation
from study.models.folded_network import DTYPES, FoldedNetwork, Scaling
from study.models.user_network import Alone, Stacked
from study.models.user_network_probe import probe
from study.training.augmentation import Views, views
from study.training.checkpoints import Kept, inner_clips
from study.training.cuda_graphs import Recorded
from study.training.labels import balanced, told_labels
from study.training.optimisers import learning_rate, optimiser
from study.training.protocol import Fold, Mask


class Diverged(ArithmeticError):
    """A network whose predictions are no numbers any more: its learning rate is too high."""


def train(
    config: TrialConfig, clips: Clips, folds: Sequence[Fold], device: str = "cpu", graphs: bool = False
) -> list[npt.NDArray[np.float64]]:
    """Probabilities of every fold's held-out clips, [n_test, C] in the order of `clips`; the softmax is in float64.

    `folds` are a group: of one seed, trained as one network. A fold's result depends on the others by rounding alone.
    The caller sets the threads. Raises Diverged, and geometry.Infeasible.
    """
    with products(config.precision), deterministic(config.network != BLOCKS and device != "cpu"):
        probabilities = _predicted(config, clips, folds, device, graphs)
    found = [probabilities[fold][fold_.test] for fold, fold_ in enumerate(folds)]
    if lost := [fold.held_out for fold, own in zip(folds, found, strict=True) if not np.isfinite(own).all()]:
        raise Diverged(f"learning_rate: {config.learning_rate} makes the network diverge (held out: {', '.join(lost)})")
    return found


def _predicted(
    config: TrialConfig, clips: Clips, folds: Sequence[Fold], device: str, graphs: bool
) -> npt.NDArray[np.float64]:
    """Of every fold [F, N, C], by the epochs that its checkpoint takes; NaN for the clips that no fold holds out."""
    if config.checkpoint == "last":
        network, material = fitted(config, clips, folds, device, graphs)
        return _probabilities(network, material, config.batch_size, material.test)
    watched = [
        fold.test if config.checkpoint == "test_oracle" else inner_clips(config, clips.subjects, fold) for fold in folds
    ]
    told = np.repeat(clips.labels[None], len(folds), axis=0)
    if config.checkpoint == "inner_validation":
        told = told_labels(config, clips, np.arange(len(clips)), folds)
    kept = Kept(config, told, watched)
    seen = np.any([*watched, *(fold.test for fold in folds)], axis=0)

    def read(epoch: int, network: nn.Module, material: Material) -> None:
        if kept.wants(epoch):
            kept.see(_probabilities(network, material, config.batch_size, seen[material.order]))

    fitted(config, clips, folds, device, graphs, read)
    assert kept.probabilities is not None
    return kept.probabilities


def fitted(
    config: TrialConfig,
    clips: Clips,
    folds: Sequence[Fold],
    device: str = "cpu",
    graphs: bool = False,
    after: "Callable[[int, nn.Module, Material], None] | None" = None,
) -> tuple[nn.Module, "Material"]:
    """The folds' networks after the last epoch, and the clips as they saw them. after: called as each epoch ends."""
    material = Material(config, clips, folds, device)
    names = [(fold.seed, fold.held_out) for fold in folds]
    network = _network(config, len(clips.classes), names, device).to(device)
    fit(network, material, config, graphs, after and (lambda epoch: after(epoch, network, material)))
    return network, material


def _network(config: TrialConfig, n_classes: int, folds: Sequence[tuple[int, str]], device: str) -> nn.Module:
    if config.network == BLOCKS:
        return FoldedNetwork(config, n_classes, folds, device)
    if len(folds) == 1:
        return Alone(config, n_classes, folds[0])
    if why := probe(config, n_classes).alone:
        raise ValueError(f"network {config.network!r}: {len(folds)} folds cannot be trained as one: {why}")
    return Stacked(config, n_classes, folds)


@contextmanager
def products(precision: str) -> Iterator[None]:
    """How a GPU multiplies meanwhile: always the same way, and in TF32 where the precision says so."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    wanted = "tf32" if precision in ("tf32", "bfloat16") else "ieee"
    places: list[tuple[Any, str, Any]] = [(matmul, "fp32_precision", wanted), (cudnn.conv, "fp32_precision", wanted)]
    places += [(cudnn, "enabled", True), (cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    before = [getattr(place, name) for place, name, _ in places]
    try:
        for place, name, value in places:
            setattr(place, name, value)
        yield
    finally:
        for (place, name, _), value in zip(places, before, strict=True):
            setattr(place, name, value)


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Deterministic kernels meanwhile, for a user's own network on a GPU; where torch has none it warns and goes on.

    losolab's own are deterministic without (docs/reproducibility.md).
    """
    if not wanted:
        yield
        return
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # it fills what nobody reads before it is written
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        memory.fill_uninitialized_memory = fills


class Material:
    """The clips as a group of folds sees them, sorted by subject and id: no result depends on the order of rows."""

    def __init__(self, config: TrialConfig, clips: Clips, folds: Sequence[Fold], device: str) -> None:
        (self.seed,) = {fold.seed for fold in folds}
        self.order = np.lexsort((clips.ids, clips.subjects))
        self.names = [(str(clips.subjects[row]), str(clips.ids[row])) for row in self.order]
        self.dtype, self.difference = DTYPES[config.precision], config.input == "frame_difference"
        trained_on = [fold.train & ~inner_clips(config, clips.subjects, fold) for fold in folds]
        self.trained_on = np.stack([mask[self.order] for mask in trained_on])
        labels = told_labels(config, clips, self.order, folds)
        self.labels = torch.from_numpy(labels).to(device)  # of each clip in each fold [F, N]
        shares = self.trained_on.astype(np.float64)
        if config.class_weights == "balanced":
            shares = balanced(labels, self.trained_on, len(clips.classes))
        self.weights = torch.from_numpy(shares).to(device, self.dtype)  # of each clip in each fold's loss [F, N]
        self.test = np.any([fold.test[self.order] for fold in folds], axis=0)
        self.pixels: dict[str, Tensor] = {}
        self.scaling: dict[str, Scaling] = {}  # of each fold
        self.clip_scaling: dict[str, Scaling] = {}  # of each clip by itself, where it has one
        for region, frames in sample(clips, config, self.seed).items():
            ordered = frames[self.order]
            self.pixels[region] = torch.from_numpy(ordered).to(device)
            moments = normalisation.moments(ordered, self.difference)
            if config.normalisation == "clip":
                of_clips = normalisation.table([one[None] for one in moments], "standard")
                self.clip_scaling[region] = self._scaling(of_clips)
                self.scaling[region] = self._scaling(np.array([[0.0], [1.0]]).repeat(len(folds), axis=1))
            else:
                sets = [moments[mask] for mask in self.trained_on]
                self.scaling[region] = self._scaling(normalisation.table(sets, config.normalisation))

    def inputs(self, rows: Tensor, shown: Views | None = None) -> dict[str, Tensor]:
        """What the network reads of these clips: a region's pixels, or their signed difference to the onset frame."""
        return {region: self._input(region, rows, shown) for region in self.pixels}

    def _input(self, region: str, rows: Tensor, shown: Views | None) -> Tensor:
        x = self.pixels[region].index_select(0, rows)
        if self.difference:
            x = x.to(torch.int16) - x[:, :1]
        x = (shown.of(x) if shown else x).to(self.dtype)
        if region in self.clip_scaling:
            mean, scale = self.clip_scaling[region]
            x = (x - mean[rows, None, None, None]) / scale[rows, None, None, None]
        return x

    def _scaling(self, values: npt.NDArray[np.float64]) -> Scaling:
        mean, scale = torch.from_numpy(values).to(self.labels.device, self.dtype)
        return Scaling(mean, scale)


def batches(names: Sequence[tuple[str, str]], seed: int, epoch: int, size: int) -> list[npt.NDArray[np.int64]]:
    """Rows of each of an epoch's steps, in the order of the hashes of (seed, epoch, subject, clip)."""
    rows = np.argsort(np.array([stream("shuffle", seed, epoch, *name) for name in names], dtype=np.uint64))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


class Epoch(NamedTuple):
    """An epoch's clips in its order, by their places in the material [N], and how it shows them."""

    rows: Tensor
    shown: Views | None
    sizes: list[int]  # clips of each step
    rates: Sequence[float] | Tensor  # learning rate of each step

    def steps(self) -> Iterator[tuple[Tensor, Views | None, float | Tensor]]:
        shown = self.shown.split(self.sizes) if self.shown else [None] * len(self.sizes)
        yield from zip(self.rows.split(self.sizes), shown, self.rates, strict=True)

    def tensors(self) -> list[Tensor]:
        """What of it lies on a GPU."""
        return [x for x in (self.rows, self.rates, *(self.shown or ())) if isinstance(x, Tensor)]

    def copied(self) -> "Epoch":
        """On a GPU, in tensors of its own."""
        rows, rates, *shown = (x.clone() for x in self.tensors())
        return Epoch(rows, Views(*shown) if shown else None, self.sizes, rates)


def fit(
    network: nn.Module,
    material: Material,
    config: TrialConfig,
    graphs: bool = False,
    after: Callable[[int], None] | None = None,
) -> None:
    """Train for all epochs. after: called with the number of each, counted from 0, as it ends.

    graphs: a GPU records an epoch of the folded network and repeats it, to the same bytes.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    update = optimiser(config, weights)
    alone = isinstance(network, Alone)  # its layers may mix the clips of a batch: none may be held out

    def train(epoch: Epoch, first: int = 0) -> None:
        for step, (rows, shown, rate) in enumerate(epoch.steps(), first):
            update(_gradients(network, weights, material, rows, shown, step), rate)

    recorded = None
    for number, epoch in enumerate(epochs(material, config, material.trained_on[0] if alone else None)):
        if recorded is not None:
            recorded.repeat(epoch, number)
        else:
            train(epoch, number * len(epoch.sizes))
            if graphs and isinstance(network, FoldedNetwork) and number + 1 < config.epochs:
                recorded = Recorded(epoch, network.dropout, train)
        if after is not None:
            after(number)


def epochs(material: Material, config: TrialConfig, only: npt.NDArray[np.bool_] | None) -> Iterator[Epoch]:
    """Every epoch, sent to the device at once; `only` some of the clips, then some steps may have none."""
    device, steps = material.labels.device, ceil(len(material.names) / config.batch_size)
    for number in range(config.epochs):
        parts = batches(material.names, material.seed, number, config.batch_size)
        if only is not None:
            parts = [part[only[part]] for part in parts]
        rows = np.concatenate(parts)
        shown = views(config, material.seed, number, [material.names[row] for row in rows], device)
        rates: list[float] | Tensor = [
            learning_rate(config, step, steps * config.epochs) for step in range(number * steps, (number + 1) * steps)
        ]
        if gpu.is_gpu(device):
            rates = gpu.sent(torch.tensor(rates), device)
        yield Epoch(gpu.sent(torch.from_numpy(rows), device), shown, [len(part) for part in parts], rates)


def _gradients(
    network: nn.Module, weights: Sequence[Tensor], material: Material, rows: Tensor, shown: Views | None, step: int
) -> Sequence[Tensor]:
    """Of the loss on these clips, by each of the weights: 0 where there are no clips."""
    if not len(rows):
        return [torch.zeros_like(weight) for weight in weights]
    logits = network(material.inputs(rows, shown), material.scaling, step)
    cost = loss(logits, material.labels.index_select(1, rows), material.weights.index_select(1, rows))
    return torch.autograd.grad(cost, weights, materialize_grads=True)


def loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Sum over folds of the weighted mean cross-entropy of a batch: 0 for a fold that has no training clip in it.

    logits [F, B, C]; labels [F, B]; weights [F, B] of the clips in the fold's loss, 0 where a clip is held out.
    """
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(weights)
    total = weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    return (each * weights / total).sum()


def _probabilities(network: nn.Module, material: Material, size: int, seen: Mask) -> npt.NDArray[np.float64]:
    """Of every fold [F, N, C], in the clips' own order; NaN but for those `seen`, bool [N] in the material's order."""
    rows = torch.from_numpy(np.flatnonzero(seen)).to(material.labels.device)
    with torch.inference_mode():
        logits = [network(material.inputs(part), material.scaling, None) for part in rows.split(size)]
        found = torch.softmax(torch.cat(logits, dim=1).double(), dim=2).cpu().numpy()
    out = np.full((len(found), len(material.order), found.shape[2]), np.nan)
    out[:, material.order[seen]] = found
    return out
