"""Dropout whose masks depend on a fold's name, the layer and the step: never on the group, the device or the clock."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from search_spaces.identity import stream
from study.models import bits

# Drops units of the activations [F, B, ...] after the layer of this name.
Drop = Callable[[str, Tensor], Tensor]


class Dropout:
    """The masks of a group's folds, named (seed, held-out subject). A share of 0 draws none."""

    def __init__(self, folds: Sequence[tuple[int, str]], share: float) -> None:
        self.kept = round((1 - share) * 65536) / 65536
        self.seeds = cache(lambda layer: [stream("dropout", seed, held_out, layer) for seed, held_out in folds])

    def at(self, step: int) -> Drop:
        """The masks of a training step; what is kept is divided by its share."""

        def drop(layer: str, x: Tensor) -> Tensor:
            masks = [bits.keep(seed, step, self.kept, tuple(x.shape[1:])) for seed in self.seeds(layer)]
            return x * torch.from_numpy(np.stack(masks)).to(x.device, x.dtype).mul_(1 / self.kept)

        return drop if self.kept < 1 else nothing


def nothing(_layer: str, x: Tensor) -> Tensor:
    """Of a network that predicts: every unit stays."""
    return x
