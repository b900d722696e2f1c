"""Optimisers and schedules: torch.optim's, in its functional form (its classes import torch._dynamo, 1.2 CPU-seconds).

Every one is elementwise and gives an element the same bits wherever it lies (torch's fused kernels on a CPU round the
last few elements of a tensor otherwise, unless a step is one multiply-add), so that the stacked weights of F folds step
as F optimisers would. A fold that has no training clip in the batch steps with a gradient of zero, as it does fold by
fold: momentum goes on and weights decay.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import cos, pi

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from search_spaces.config import TrialConfig
from study.models import gpu

# Changes the weights, given their gradients and the learning rate: on a GPU a tensor, float32 [], which is there.
Step = Callable[[Sequence[Tensor], float | Tensor], None]


def optimiser(config: TrialConfig, weights: Sequence[Tensor]) -> Step:
    """The configuration's optimiser of these weights, which it changes in place."""
    return _adamw(config, list(weights)) if config.optimiser == "adamw" else _sgd(config, list(weights))


def learning_rate(config: TrialConfig, step: int, steps: int) -> float:
    """Of a step, from 0, of all steps. Cosine without restarts: Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5."""
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * (1 + cos(pi * step / steps)) / 2


def _sgd(config: TrialConfig, weights: list[Tensor]) -> Step:
    velocity: list[Tensor | None] = [None] * len(weights)
    fused = gpu.is_gpu(weights[0].device) or config.momentum == config.weight_decay == 0
    take = partial(
        sgd,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.optimiser == "nesterov",
        dampening=0.0,
        maximize=False,
        fused=fused,
        foreach=not fused,
    )

    def step(gradients: Sequence[Tensor], rate: float | Tensor) -> None:
        with torch.no_grad():
            take(weights, _alike(gradients, weights), velocity, lr=rate)  # type: ignore[arg-type]  # a tensor, too

    return step


def _adamw(config: TrialConfig, weights: list[Tensor]) -> Step:
    """Loshchilov and Hutter 2019, arXiv 1711.05101, with torch's betas and epsilon."""
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    fused = gpu.is_gpu(weights[0].device)
    taken = [torch.zeros((), device=weight.device) for weight in weights]
    take = partial(
        adamw,
        max_exp_avg_sqs=[],
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        eps=1e-8,
        weight_decay=config.weight_decay,
        maximize=False,
        fused=fused,
        foreach=not fused,
    )

    def step(gradients: Sequence[Tensor], rate: float | Tensor) -> None:
        with torch.no_grad():
            take(weights, _alike(gradients, weights), first, second, state_steps=taken, lr=rate)

    return step


def _alike(gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
    """Gradients laid out in memory as their weights are: torch's fused kernels take that for granted."""
    pairs = zip(gradients, weights, strict=True)
    return [g if g.stride() == w.stride() else torch.empty_like(w).copy_(g) for g, w in pairs]
