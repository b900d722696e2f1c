"""Training: the folds of a group as one network, from clips to the probabilities of held-out clips. torch only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.config import BLOCKS, TrialConfig
from search_spaces.identity import stream
from study.augmentation import Views, views
from study.data.clips import Clips
from study.data.sampling import sample
from study.models import scaling
from study.models.bits import permutation
from study.models.dropout import sent
from study.models.networks import DTYPES, FoldedNetwork, Scaling
from study.models.own import Alone, Stacked
from study.models.probe import probe
from study.optimisers import learning_rate, optimiser
from study.protocol import Fold


class Diverged(ArithmeticError):
    """A network whose predictions are no numbers any more: its learning rate is too high."""


def train(
    config: TrialConfig, clips: Clips, folds: Sequence[Fold], device: str = "cpu"
) -> list[npt.NDArray[np.float64]]:
    """Probabilities of every fold's held-out clips, [n_test, C] in the order of `clips`; the softmax is in float64.

    `folds` are a group: of one seed, trained as one network. A fold's result depends on the others by rounding alone.
    The caller sets the threads. Raises Diverged, and geometry.Infeasible.
    """
    with products(config.precision):
        network, material = fitted(config, clips, folds, device)
        probabilities = _probabilities(network, material, config.batch_size)
    found = [probabilities[fold][fold_.test] for fold, fold_ in enumerate(folds)]
    if lost := [fold.held_out for fold, own in zip(folds, found, strict=True) if not np.isfinite(own).all()]:
        raise Diverged(f"learning_rate: {config.learning_rate} makes the network diverge (held out: {', '.join(lost)})")
    return found


def fitted(
    config: TrialConfig, clips: Clips, folds: Sequence[Fold], device: str = "cpu"
) -> tuple[nn.Module, "Material"]:
    """The folds' networks after the last epoch, and the clips as they saw them."""
    material = Material(config, clips, folds, device)
    names = [(fold.seed, fold.held_out) for fold in folds]
    network = _network(config, len(clips.classes), names).to(device)
    fit(network, material, config)
    return network, material


def _network(config: TrialConfig, n_classes: int, folds: Sequence[tuple[int, str]]) -> nn.Module:
    if config.network == BLOCKS:
        return FoldedNetwork(config, n_classes, folds)
    if len(folds) == 1:
        return Alone(config, n_classes, folds[0])
    if why := probe(config, n_classes).alone:
        raise ValueError(f"network {config.network!r}: {len(folds)} folds cannot be trained as one: {why}")
    return Stacked(config, n_classes, folds)


@contextmanager
def products(precision: str) -> Iterator[None]:
    """How a GPU multiplies meanwhile: always the same way, and in TF32 where the precision says so."""
    allowed, before = precision in ("tf32", "bfloat16"), torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=allowed):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


class Material:
    """The clips as a group of folds sees them, sorted by subject and id: no result depends on the order of rows."""

    def __init__(self, config: TrialConfig, clips: Clips, folds: Sequence[Fold], device: str) -> None:
        (self.seed,) = {fold.seed for fold in folds}
        self.order = np.lexsort((clips.ids, clips.subjects))
        self.names = [(str(clips.subjects[row]), str(clips.ids[row])) for row in self.order]
        self.dtype, self.difference = DTYPES[config.precision], config.input == "frame_difference"
        self.trained_on = np.stack([fold.train[self.order] for fold in folds])
        labels = _labels(config, clips, self.order, folds)
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
            moments = scaling.moments(ordered, self.difference)
            if config.normalisation == "clip":
                self.clip_scaling[region] = self._scaling(scaling.table([one[None] for one in moments], "standard"))
                self.scaling[region] = self._scaling(np.array([[0.0], [1.0]]).repeat(len(folds), axis=1))
            else:
                sets = [moments[mask] for mask in self.trained_on]
                self.scaling[region] = self._scaling(scaling.table(sets, config.normalisation))

    def inputs(self, rows: Tensor, shown: Views | None = None) -> dict[str, Tensor]:
        """What the network reads of these clips: a region's pixels, or their signed difference to the onset frame."""
        return {region: self._input(region, rows, shown) for region in self.pixels}

    def _input(self, region: str, rows: Tensor, shown: Views | None) -> Tensor:
        x = self.pixels[region][rows]
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


def _labels(
    config: TrialConfig, clips: Clips, order: npt.NDArray[np.int64], folds: Sequence[Fold]
) -> npt.NDArray[np.int64]:
    """What each fold is told of each clip's class [F, N], the clips in this order."""
    labels, subjects = clips.labels[order], clips.subjects[order]
    if config.control == "shuffled_labels":
        own = [(fold.train[order], (fold.seed, fold.held_out)) for fold in folds]
        return np.stack([shuffled_labels(labels, trained_on, name) for trained_on, name in own])
    if config.control == "permuted_labels":
        labels = permuted(labels, subjects, folds[0].seed)
    return np.repeat(labels[None], len(folds), axis=0)


def shuffled_labels(
    labels: npt.NDArray[np.int64],
    trained_on: npt.NDArray[np.bool_],
    fold: tuple[int, str],
) -> npt.NDArray[np.int64]:
    """Labels permuted over the clips that a fold trains on: nothing of them is left to learn.

    fold: its seed and held-out subject, by whose stream; held-out clips keep their labels. Not within the datasets of a
    composite: their shares of the classes would stay, and from them a network tells labels without any leak.
    """
    out, rows = labels.copy(), np.flatnonzero(trained_on)
    out[rows] = labels[rows[permutation(stream("shuffled_labels", *fold), len(rows))]]
    return out


def permuted(labels: npt.NDArray[np.int64], subjects: npt.NDArray[np.str_], seed: int) -> npt.NDArray[np.int64]:
    """Labels permuted within each subject, by the stream (seed, subject): each keeps its share of classes."""
    out = labels.copy()
    for subject in np.unique(subjects):
        rows = np.flatnonzero(subjects == subject)
        out[rows] = labels[rows[permutation(stream("permuted_labels", seed, str(subject)), len(rows))]]
    return out


def balanced(
    labels: npt.NDArray[np.int64], trained_on: npt.NDArray[np.bool_], n_classes: int
) -> npt.NDArray[np.float64]:
    """Weight of each clip in each fold's loss [F, N]: inverse to its class's number of the fold's training clips.

    labels [F, N], as each fold is told them.
    The mean weight of a fold's training clips is 1, the same as scikit-learn's `balanced` where no class is missing.
    """
    counts = np.stack(
        [np.bincount(own[mask], minlength=n_classes) for own, mask in zip(labels, trained_on, strict=True)]
    )
    present = (counts > 0).sum(axis=1, keepdims=True)
    of_class = counts.sum(axis=1, keepdims=True) / (present * counts.clip(1))
    return trained_on * np.take_along_axis(of_class, labels, axis=1)


def batches(names: Sequence[tuple[str, str]], seed: int, epochs: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of every step's clips; an epoch's order is that of the hashes of (seed, epoch, subject, clip)."""
    for epoch in range(epochs):
        order = np.argsort(np.array([stream("shuffle", seed, epoch, *name) for name in names], dtype=np.uint64))
        for start in range(0, len(order), size):
            yield order[start : start + size]


def fit(network: nn.Module, material: Material, config: TrialConfig) -> None:
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    update = optimiser(config, weights)
    steps = ceil(len(material.names) / config.batch_size)  # of an epoch
    for step, chosen in enumerate(batches(material.names, material.seed, config.epochs, config.batch_size)):
        if isinstance(network, Alone):  # its layers may mix the clips of a batch: none may be held out
            chosen = chosen[material.trained_on[0, chosen]]
        rows = sent(torch.from_numpy(chosen), material.labels.device)
        shown = views(config, material.seed, step // steps, [material.names[row] for row in chosen], rows.device)
        gradients = _gradients(network, weights, material, rows, shown, step)
        update(gradients, learning_rate(config, step, steps * config.epochs))


def _gradients(
    network: nn.Module, weights: Sequence[Tensor], material: Material, rows: Tensor, shown: Views | None, step: int
) -> Sequence[Tensor]:
    """Of the loss on these clips, by each of the weights: 0 where there are no clips."""
    if not len(rows):
        return [torch.zeros_like(weight) for weight in weights]
    logits = network(material.inputs(rows, shown), material.scaling, step)
    cost = loss(logits, material.labels[:, rows], material.weights[:, rows])
    return torch.autograd.grad(cost, weights, materialize_grads=True)


def loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Sum over folds of the weighted mean cross-entropy of a batch: 0 for a fold that has no training clip in it.

    logits [F, B, C]; labels [F, B]; weights [F, B] of the clips in the fold's loss, 0 where a clip is held out.
    """
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(weights)
    total = weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    return (each * weights / total).sum()


def _probabilities(network: nn.Module, material: Material, size: int) -> npt.NDArray[np.float64]:
    """Of every fold [F, N, C], in the clips' own order; NaN for the clips that no fold of the group holds out."""
    rows = torch.from_numpy(np.flatnonzero(material.test)).to(material.labels.device)
    with torch.inference_mode():
        logits = [network(material.inputs(part), material.scaling, None) for part in rows.split(size)]
        found = torch.softmax(torch.cat(logits, dim=1).double(), dim=2).cpu().numpy()
    out = np.full((len(found), len(material.order), found.shape[2]), np.nan)
    out[:, material.order[material.test]] = found
    return out
