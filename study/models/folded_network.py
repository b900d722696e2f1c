"""The folded network: the networks of several folds as one, so that the first block reads its input once for all.

Weights are stacked, [F, ...] for F folds; activations are channels-last, the channels being F x filters. The first
block is a 2-D convolution with the kernel's frames as input channels, and every block pools before bias and ReLU, which
gives the same numbers from 27 times fewer elements: max(relu(x + b)) = relu(max(x) + b).
"""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from study.models import counter_bits, gpu
from study.models.convolution import FirstConvolution, LaterConvolution, ProductConvolution
from study.models.dropout import Drop, Dropout, nothing
from study.models.geometry import Block, Dense, Shape, Stream, geometry
from study.system import random_bits

# Of weights, and of what convolutions multiply; tf32 and bfloat16 let a GPU's matrix products use TF32 besides.
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32, "tf32": torch.float32}
CONVOLVED = DTYPES | {"bfloat16": torch.bfloat16}


class Scaling(NamedTuple):
    """What a fold subtracts from a stream's pixels and divides them by: mean [F] and scale [F], positive."""

    mean: Tensor
    scale: Tensor


class FoldedNetwork(nn.Module):
    """F networks of one configuration, one for every fold, each with initial weights of its own.

    `folds` names them, as (seed, held-out subject): the weights depend on the name, never on the place in the group.
    """

    def __init__(
        self, config: TrialConfig, n_classes: int, folds: Sequence[tuple[int, str]], device: str = "cpu"
    ) -> None:
        super().__init__()
        plan, place = geometry(config, n_classes), torch.device(device)
        units = {layer.name: layer.outputs for layer in plan.layers[:-1]}
        self.dropout = Dropout(folds, config.dropout, units, config.batch_size, place)
        initial = Initial(folds, config.precision, place)
        self.streams = nn.ModuleDict({part.region: RegionStream(config, part, initial) for part in plan.streams})
        self.hidden = nn.ModuleList([HiddenLayer(config, layer, initial) for layer in plan.dense[:-1]])
        self.output = DenseLayer(plan.dense[-1], initial)

    def forward(self, inputs: dict[str, Tensor], scaling: dict[str, Scaling], step: int | None) -> Tensor:
        """Logits [F, B, classes] of B clips: each region's pixels [B, T, side, side], not yet scaled.

        step: of the training, whose units are dropped; None: of a prediction.
        """
        drop = nothing if step is None else self.dropout.at(step)
        parts = [part(inputs[region], scaling[region], drop) for region, part in self.streams.items()]
        x = torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]
        for layer in self.hidden:
            x = layer(x, drop)
        return self.output(x)


class Initial:
    """Initial weights: Glorot-uniform (Keras's default, as in the paper's code), of the stream (seed, fold, layer)."""

    def __init__(self, folds: Sequence[tuple[int, str]], precision: str, device: torch.device) -> None:
        self.folds, self.device = folds, device
        self.dtype, self.convolved = DTYPES[precision], CONVOLVED[precision]

    def weight(self, layer: str, shape: tuple[int, ...], fans: int) -> nn.Parameter:
        """Weights [F, *shape] of a layer, within sqrt(6 / fans); fans: a unit's inputs and outputs (Glorot 2010)."""
        weights = torch.empty((len(self.folds), *shape), dtype=self.dtype, device=self.device)
        seeds = [stream("weights", seed, held_out, layer) for seed, held_out in self.folds]
        if gpu.is_gpu(self.device):
            keys = counter_bits.keys(seeds, self.device)
            drawn = (counter_bits.uniform(key, prod(shape)).view(shape) for key in keys)
        else:
            drawn = (torch.from_numpy(random_bits.uniform(seed, shape)) for seed in seeds)
        for own, numbers in zip(weights, drawn, strict=True):
            own.copy_(numbers)
        return nn.Parameter(weights.mul_(sqrt(6 / fans)))

    def bias(self, shape: tuple[int, ...]) -> nn.Parameter:
        return nn.Parameter(torch.zeros((len(self.folds), *shape), dtype=self.dtype, device=self.device))


class RegionStream(nn.Module):
    """A region's blocks and head, and its dense layers under late fusion: [B, T, side, side] -> [F, B, features]."""

    cells: Tensor | None

    def __init__(self, config: TrialConfig, plan: Stream, initial: Initial) -> None:
        super().__init__()
        self.first = FirstBlock(plan.blocks[0], initial)
        self.later = nn.ModuleList([LaterBlock(block, initial) for block in plan.blocks[1:]])
        self.hidden = nn.ModuleList([HiddenLayer(config, layer, initial) for layer in plan.dense])
        cells = (
            averages(plan.blocks[-1].shape, config.grid).to(initial.device, initial.dtype)
            if config.head == "pool"
            else None
        )
        self.register_buffer("cells", cells)

    def forward(self, x: Tensor, scaling: Scaling, drop: Drop) -> Tensor:
        x = self.first(x, scaling, drop)
        for block in self.later:
            x = block(x, drop)
        if self.cells is not None:
            x = self.cells @ x.flatten(2, 4)
        x = x.flatten(2)
        for layer in self.hidden:
            x = layer(x, drop)
        return x


class FirstBlock(nn.Module):
    """The paper's block on pixels that all folds share: valid convolution, max-pool 3, bias, ReLU, dropout.

    The folds' scaling enters by algebra, so that no fold copies the input:
    w (x - m) / s + b = (w / s) x + (b - m / s sum w).
    """

    def __init__(self, plan: Block, initial: Initial) -> None:
        super().__init__()
        self.plan, self.dtype = plan, initial.convolved
        self.weight = initial.weight(plan.name, (plan.filters, *plan.kernel), prod(plan.kernel) * (1 + plan.filters))
        self.bias = initial.bias((plan.filters,))

    def forward(self, x: Tensor, scaling: Scaling, drop: Drop) -> Tensor:
        frames, height, width = self.plan.computed
        taps, rows, columns = self.plan.kernel
        seen = x[:, : frames + taps - 1, : height + rows - 1, : width + columns - 1].permute(0, 2, 3, 1)
        mean, of_gpu = scaling.mean, gpu.is_gpu(x.device)
        if not of_gpu:
            seen = F.pad(seen, (0, int(taps % 16 == 15)))  # 16 channels take less time than 15
        if self.dtype == torch.bfloat16:  # about 0, so that less is rounded off; whole numbers up to 256 are exact
            middle = (mean[0] / 64).round() * 64
            seen, mean = seen - middle, mean - middle
        weight = self.weight / scaling.scale[:, None, None, None, None]
        shift = self.bias - (mean / scaling.scale)[:, None] * self.weight.sum((2, 3, 4))
        if of_gpu:
            highest = ProductConvolution.apply(seen, weight, self.plan, self.dtype)
        else:
            highest = FirstConvolution.apply(seen.contiguous(), weight, self.plan, self.dtype)
        return _finished(highest, shift, self.plan.name, drop)


class LaterBlock(nn.Module):
    """3x3x3 'same' convolution, a group of channels for every fold, max-pool, bias, ReLU, dropout."""

    def __init__(self, plan: Block, initial: Initial) -> None:
        super().__init__()
        self.plan, self.dtype = plan, initial.convolved
        fans = prod(plan.kernel) * (plan.inputs + plan.filters)
        self.weight = initial.weight(plan.name, (plan.filters, plan.inputs, *plan.kernel), fans)
        self.bias = initial.bias((plan.filters,))

    def forward(self, x: Tensor, drop: Drop) -> Tensor:
        highest = LaterConvolution.apply(x, self.weight, self.plan, self.dtype)
        return _finished(highest, self.bias, self.plan.name, drop)


class DenseLayer(nn.Module):
    """Dense layers of F folds: weights [F, inputs, units], so that gradients come in the layout of the weights."""

    def __init__(self, plan: Dense, initial: Initial) -> None:
        super().__init__()
        self.parts = max(n for n in range(1, 65) if n == 1 or (plan.inputs % n == 0 and plan.inputs >= 128 * n))
        self.weight = initial.weight(plan.name, (plan.inputs, plan.units), plan.inputs + plan.units)
        self.bias = initial.bias((1, plan.units))

    def forward(self, x: Tensor) -> Tensor:
        if self.parts > 1 and gpu.is_gpu(x.device):
            product: Tensor = _Product.apply(x, self.weight, self.parts)
            return product + self.bias
        return torch.baddbmm(self.bias, x, self.weight)


class _Product(torch.autograd.Function):
    """x [F, B, n] @ weight [F, n, units], summed from parts of n: a batch has too few rows to keep a GPU busy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, parts: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        seen = x.unflatten(2, (parts, -1)).transpose(1, 2).flatten(0, 1)
        return (seen @ weight.unflatten(1, (parts, -1)).flatten(0, 1)).unflatten(0, (-1, parts)).sum(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        return grad @ weight.mT, x.mT @ grad, None


class HiddenLayer(nn.Module):
    """Dense layer, activation, dropout."""

    def __init__(self, config: TrialConfig, plan: Dense, initial: Initial) -> None:
        super().__init__()
        self.name, self.dense = plan.name, DenseLayer(plan, initial)
        self.activation = nn.ReLU() if config.dense_activation == "relu" else nn.Identity()

    def forward(self, x: Tensor, drop: Drop) -> Tensor:
        return drop(self.name, self.activation(self.dense(x)))


def averages(shape: Shape, grid: int) -> Tensor:
    """Matrix [grid^3, T x H x W] of adaptive average pooling: a product is deterministic on every device."""
    frames, height, width = (_cells(size, grid) for size in shape)
    return torch.kron(torch.kron(frames, height), width)


def _cells(size: int, grid: int) -> Tensor:
    """Cell i of an axis averages positions floor(i size / grid) up to ceil((i + 1) size / grid)."""
    matrix = torch.zeros((grid, size), dtype=torch.float64)
    for i in range(grid):
        start, stop = i * size // grid, -(-(i + 1) * size // grid)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def _finished(pooled: Tensor, bias: Tensor, name: str, drop: Drop) -> Tensor:
    """Bias [F, filters], dropout and ReLU of a block [F, B, T, H, W, filters], in place.

    Dropout first gives the same numbers (what it multiplies by is not negative), and keeps a tensor less.
    """
    return F.relu_(drop(name, pooled.add_(bias[:, None, None, None, None])))
