"""Dropout whose masks depend on a fold's name, the layer and the step: never on the group, the device or the clock."""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from search_spaces.identity import stream
from study.models import bits

# Drops units of the activations [F, B, ...] after the layer of this name.
Drop = Callable[[str, Tensor], Tensor]


def sent(x: Tensor, device: torch.device) -> Tensor:
    """To a device, without waiting for it: a GPU takes it from pinned memory while the program goes on."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


class Dropout:
    """The masks of a group's folds, named (seed, held-out subject). A share of 0 draws none."""

    def __init__(self, folds: Sequence[tuple[int, str]], share: float) -> None:
        self.kept = round((1 - share) * 65536) / 65536
        self.seeds = cache(lambda layer: [stream("dropout", seed, held_out, layer) for seed, held_out in folds])

    def at(self, step: int) -> Drop:
        """The masks of a training step; what is kept is divided by its share."""

        def drop(layer: str, x: Tensor) -> Tensor:
            masks = torch.empty(x.shape, dtype=torch.bool)
            for mask, seed in zip(masks, self.seeds(layer), strict=True):
                mask.copy_(torch.from_numpy(bits.keep(seed, step, self.kept, tuple(mask.shape))))
            return x * sent(masks, x.device).to(x.dtype).mul_(1 / self.kept)

        return drop if self.kept < 1 else nothing


def nothing(_layer: str, x: Tensor) -> Tensor:
    """Of a network that predicts: every unit stays."""
    return x
