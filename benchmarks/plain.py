"""The code that is usually written for the same training: what the benchmarks measure the trainer against."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from search_spaces.config import TrialConfig
from search_spaces.network_inputs import master, streams
from study.data.clips import Clips
from study.data.sampling import sample
from study.models.folded_network import DTYPES
from study.models.geometry import Dense, Stream, geometry
from study.training.protocol import Fold
from study.training.train import batches

Steps = Callable[[], None]  # trains all folds for one epoch


class Network(nn.Module):
    """The paper's networks as published, with further blocks and dense layers of each region where asked."""

    def __init__(self, config: TrialConfig, n_classes: int) -> None:
        super().__init__()
        plan = geometry(config, n_classes)
        self.regions = [part.region for part in plan.streams]
        self.streams = nn.ModuleList([nn.Sequential(*stream(part, config)) for part in plan.streams])
        self.dense = nn.Sequential(
            *hidden(plan.dense[:-1], config), nn.Linear(plan.dense[-1].inputs, plan.dense[-1].units)
        )

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        parts = [part(inputs[region]) for region, part in zip(self.regions, self.streams, strict=True)]
        return self.dense(torch.cat(parts, dim=1))


def stream(plan: Stream, config: TrialConfig) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number, block in enumerate(plan.blocks):
        layers.append(nn.Conv3d(block.inputs, block.filters, block.kernel, padding="same" if number else "valid"))
        layers += [nn.ReLU(), nn.MaxPool3d(block.pool), nn.Dropout(config.dropout)]
    return [*layers, nn.Flatten(), *hidden(plan.dense, config)]


def hidden(plan: Sequence[Dense], config: TrialConfig) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for layer in plan:
        layers.append(nn.Linear(layer.inputs, layer.units))
        if config.dense_activation == "relu":
            layers.append(nn.ReLU())
        layers.append(nn.Dropout(config.dropout))
    return layers


class Work:
    """Clips on the device as one fold after another wants them, and the batches that the trainer draws, too."""

    def __init__(self, config: TrialConfig, clips: Clips, folds: Sequence[Fold], device: str = "cpu") -> None:
        self.config, self.folds, self.device = config, folds, device
        self.classes = len(clips.classes)
        seen = sample(clips, config, folds[0].seed)
        self.pixels = {region: torch.tensor(frames, device=device) for region, frames in seen.items()}
        self.labels = torch.tensor(clips.labels, device=device)
        names = list(zip(clips.subjects.tolist(), clips.ids.tolist(), strict=True))
        self.batches = [torch.tensor(rows) for rows in batches(names, folds[0].seed, 0, config.batch_size)]

    def coarse(self) -> AbstractContextManager[Any]:
        """Where the configuration says bfloat16, autocast."""
        return torch.autocast(self.device.split(":")[0], torch.bfloat16, self.config.precision == "bfloat16")

    def normalised(self, fold: Fold) -> dict[str, Tensor]:
        """Pixels [N, 1, T, H, W], by the mean and the standard deviation of the fold's training clips."""
        out = {}
        for region, frames in self.pixels.items():
            x = frames.to(DTYPES[self.config.precision])[:, None]
            trained_on = x[torch.tensor(fold.train, device=self.device)].double()
            mean, scale = trained_on.mean(), trained_on.std(correction=0)
            out[region] = (x - mean.to(x.dtype)) / scale.to(x.dtype)
        return out


def loop(work: Work) -> Steps:
    """Fold after fold: a network and an optimiser of its own, batches without the held-out clips."""
    networks = [Network(work.config, work.classes).to(work.device) for _ in work.folds]
    optimisers = [torch.optim.SGD(n.parameters(), work.config.learning_rate, work.config.momentum) for n in networks]
    inputs = [work.normalised(fold) for fold in work.folds]
    batches = [[rows[fold.train[rows.numpy()]].to(work.device) for rows in work.batches] for fold in work.folds]

    def epoch() -> None:
        for network, optimiser, own, steps in zip(networks, optimisers, inputs, batches, strict=True):
            for rows in steps:
                optimiser.zero_grad()
                with work.coarse():
                    cost = F.cross_entropy(network({region: x[rows] for region, x in own.items()}), work.labels[rows])
                cost.backward()
                optimiser.step()

    return epoch


def vmapped(work: Work) -> Steps:
    """torch.func: the folds' states stacked, gradients by vmap; held-out clips have weight 0; the input is shared."""
    networks = [Network(work.config, work.classes).to(work.device) for _ in work.folds]
    weights, _ = stack_module_state(networks)  # type: ignore[arg-type]
    inputs, batches = work.normalised(work.folds[0]), [rows.to(work.device) for rows in work.batches]
    trained_on = torch.tensor(np.stack([fold.train for fold in work.folds]), device=work.device).float()

    def cost(own: dict[str, Tensor], batch: dict[str, Tensor], labels: Tensor, share: Tensor) -> Tensor:
        each = F.cross_entropy(functional_call(networks[0], own, (batch,)), labels, reduction="none")
        return (each * share).sum() / share.sum().clamp(min=1)

    gradients = vmap(grad(cost), in_dims=(0, None, None, 0), randomness="different")

    def epoch() -> None:
        for rows in batches:
            batch = {region: x[rows] for region, x in inputs.items()}
            with work.coarse():
                found = gradients(weights, batch, work.labels[rows], trained_on[:, rows])
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.sub_(found[name], alpha=work.config.learning_rate)

    return epoch


def noise(config: TrialConfig, count: int, subjects: int) -> Clips:
    """Clips of random pixels at the size that the configuration sees: what is measured does not depend on them."""
    draw = np.random.default_rng(0)
    sides = {region: config.crop // 2 if region in ("eyes", "mouth") else config.crop for region in streams(config)}
    frames = np.full(count, config.frames)
    shapes = {region: (count * config.frames, side, side) for region, side in sides.items()}
    pixels: dict[str, npt.NDArray[np.uint8]] = {
        master(config, region): draw.integers(0, 256, shape, dtype=np.uint8) for region, shape in shapes.items()
    }
    return Clips(
        ids=np.array([f"clip{i:03d}" for i in range(count)]),
        subjects=np.array([f"s{i % subjects:02d}" for i in range(count)]),
        labels=draw.integers(0, 3, count),
        classes=("negative", "positive", "surprise"),
        first=np.arange(count) * config.frames,
        frames=frames,
        apex=frames // 2,
        fps=np.full(count, 100.0),
        pixels=pixels,
        digests=dict.fromkeys(["index", *pixels], "noise"),
    )
