"""CUDA graphs: what an epoch's steps give a GPU, recorded once and repeated, so that no step waits for Python."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from study.models.dropout import Dropout

if TYPE_CHECKING:
    from study.training.train import Epoch


class Recorded:
    """An epoch as a CUDA graph. What differs between epochs lies in tensors that the graph reads anew."""

    def __init__(self, like: "Epoch", dropout: Dropout, train: "Callable[[Epoch], None]") -> None:
        """like: an epoch that has run, so that all that is made once is there; train: what to record."""
        self.epoch = like.copied()
        self.since = torch.zeros((), dtype=torch.int64, device=like.rows.device)
        self.per_epoch = dropout.begin(self.since, len(like.sizes))
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            train(self.epoch)
        dropout.begin(None, 0)

    def repeat(self, epoch: "Epoch", number: int) -> None:
        """Train for epoch `number`."""
        for here, there in zip(self.epoch.tensors(), epoch.tensors(), strict=True):
            here.copy_(there)
        self.since.fill_(number * self.per_epoch)
        self.graph.replay()
