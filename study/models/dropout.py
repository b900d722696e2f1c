"""Dropout whose masks depend on a fold's name, the layer and the step: never on the group or the clock."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from search_spaces.digests import stream
from study.models import counter_bits, gpu
from study.models.geometry import AT_ONCE
from study.system import random_bits

# Drops units of the activations [F, B, ...] after the layer of this name.
Drop = Callable[[str, Tensor], Tensor]


class Dropout:
    """The masks of a group's folds, named (seed, held-out subject). A share of 0 draws none.

    units: of every layer that drops some, for each clip; batch: clips of a step, at most.
    """

    def __init__(
        self, folds: Sequence[tuple[int, str]], share: float, units: Mapping[str, int], batch: int, device: torch.device
    ) -> None:
        self.kept = round((1 - share) * 65536) / 65536
        self.seeds = cache(lambda layer: [stream("dropout", seed, held_out, layer) for seed, held_out in folds])
        self.drawn = Drawn(folds, self.kept, units, batch, device) if gpu.is_gpu(device) and self.kept < 1 else None

    def at(self, step: int) -> Drop:
        """The masks of a training step; what is kept is divided by its share."""

        def drop(layer: str, x: Tensor) -> Tensor:
            masks = torch.empty(x.shape, dtype=torch.bool)
            for mask, seed in zip(masks, self.seeds(layer), strict=True):
                mask.copy_(torch.from_numpy(random_bits.keep(seed, step, self.kept, tuple(mask.shape))))
            return x * masks.to(x.dtype).mul_(1 / self.kept)

        if self.kept == 1:
            return nothing
        return drop if self.drawn is None else self.drawn.at(step)

    def begin(self, since: Tensor | None, steps: int) -> int:
        """Count from `since` on, which a graph reads anew at every repetition; how far so many steps count."""
        return 0 if self.drawn is None else self.drawn.begin(since, steps)


class Drawn:
    """Masks that a GPU draws: a stream of counted bits for each fold, of which every step and layer has its places."""

    def __init__(
        self, folds: Sequence[tuple[int, str]], kept: float, units: Mapping[str, int], batch: int, device: torch.device
    ) -> None:
        self.kept = kept
        self.keys = counter_bits.keys((stream("dropout", *fold, "counted") for fold in folds), device)
        words = [-(-batch * count // 4) for count in units.values()]  # 16 bits a unit
        self.first = dict(zip(units, accumulate(words, initial=0), strict=False))  # of a step's words, a layer's
        self.words = sum(words)  # of a step
        self.steps = max(1, AT_ONCE // (4 * self.words * len(folds)))  # drawn together
        self.since: Tensor | None = None  # what counters begin after, where a graph repeats the steps of an epoch
        self.together, self.masks = -1, torch.empty(0)

    def begin(self, since: Tensor | None, steps: int) -> int:
        self.since, self.together = since, -1
        return steps * self.words

    def at(self, step: int) -> Drop:
        together, number = divmod(step, self.steps)
        if together != self.together:
            self.masks = torch.empty(0)  # so that there is room for the next
            first, count = together * self.steps * self.words, self.steps * self.words
            self.together, self.masks = together, counter_bits.keep(self.keys, count, self.kept, first, self.since)

        def drop(layer: str, x: Tensor) -> Tensor:
            first = 4 * (number * self.words + self.first[layer])
            mask = self.masks[:, first : first + x[0].numel()].view(x.shape)
            dropped: Tensor = _Masked.apply(x, mask, 1 / self.kept)
            return dropped

        return drop


class _Masked(torch.autograd.Function):
    """x * mask * scale, in one kernel each way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.mask, ctx.scale = mask, scale
        return torch.ops.aten.native_dropout_backward(x, mask, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return torch.ops.aten.native_dropout_backward(grad, ctx.mask, ctx.scale), None, None


def nothing(_layer: str, x: Tensor) -> Tensor:
    """No dropout: used for prediction."""
    return x
