"""Convolution and max-pool as one operation, a part of the batch after another.

What lies between the two is up to 27 times larger than what comes out. A part of it stays in the processor's cache, and
of the whole nothing is kept for the backward pass but the places of the maxima, which are all that gradients need.
The sums over a batch are the same; the order of their terms follows from the configuration and the kind of device.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from study.models import gpu
from study.models.geometry import Block, folds_at_once, part_size

_convolve = torch.ops.aten.convolution
_differentiate = torch.ops.aten.convolution_backward
_max_pool = torch.ops.aten.max_pool3d_with_indices
_max_unpool = torch.ops.aten.max_pool3d_with_indices_backward


class Part(NamedTuple):
    """What is computed at a time: some clips and some of their frames, counted after pooling."""

    clips: slice
    start: int
    stop: int

    def of(self, values: Tensor, folds: slice) -> Tensor:
        """This part of values after pooling [F, B, T', H', W', C], for some folds."""
        return values[folds, self.clips, self.start : self.stop]


class FirstConvolution(torch.autograd.Function):
    """Pixels [B, H, W, T] that all folds share, weights [F, C, taps, rows, columns] -> [F, B, T', H', W', C].

    A 2-D convolution whose input channels are the kernel's frames; no gradient of the pixels.
    """

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor, block: Block, dtype: torch.dtype) -> Tensor:
        out, places = _places(weight, len(pixels), block)
        kernels = _frames_as_channels(weight, block, pixels, dtype)
        for part in parts(block, weight, len(pixels)):
            seen = _unfolded(pixels, part, block, dtype)
            for folds, kernel in kernels:
                y = _convolve(seen, kernel, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
                y = y.permute(0, 2, 3, 1).unflatten(0, (-1, (part.stop - part.start) * block.pool[0]))
                _pool(y.permute(0, 4, 1, 2, 3), block, part.of(out, folds), part.of(places, folds))
        ctx.block, ctx.dtype = block, dtype
        ctx.save_for_backward(pixels, weight, places)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        pixels, weight, places = ctx.saved_tensors
        block, found = ctx.block, torch.zeros_like(weight)
        kernels = _frames_as_channels(weight, block, pixels, ctx.dtype)
        for part in parts(block, weight, len(pixels)):
            seen = _unfolded(pixels, part, block, ctx.dtype)
            for folds, kernel in kernels:
                back = _unpool(part.of(grad, folds), part.of(places, folds), block, ctx.dtype)
                back = back.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)
                own = _gradients(back, seen, kernel, [0, 0], 1, [False, True])[1]
                found[folds] += own.unflatten(0, (-1, block.filters))[:, :, : weight.shape[2]]
        return None, found, None, None


class ProductConvolution(torch.autograd.Function):
    """The same as FirstConvolution on a GPU: a matrix product of all that a kernel meets, laid out once for all folds.

    Pixels [B, H, W, T] may be another look at others, and are no longer than what the kernel needs. For one input
    channel, or a few, cuDNN only has kernels that reach a third of what a product does. The places of a pooling window
    lie apart by the first axis of 27: a maximum along it reads memory in order.
    """

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor, block: Block, dtype: torch.dtype) -> Tensor:
        out = weight.new_empty((len(weight), len(pixels), *block.shape, block.filters))
        kernels, ctx.parts = _aligned(weight.flatten(2).flatten(0, 1), dtype), []
        # In float32 and float64: coarser products are faster than any sum.
        exact = dtype == weight.dtype and torch.backends.cuda.matmul.fp32_precision == "ieee"
        sparse = gpu.sums() if exact else None
        for part in parts(block, weight, len(pixels)):
            seen = _patches(pixels, part, block, kernels)
            highest, places = (seen.flatten(0, 1) @ kernels.T).view(*seen.shape[:2], -1).max(0)
            own = part.of(out, slice(None))
            own.copy_(highest.view(*own.shape[1:5], len(weight), -1).permute(4, 0, 1, 2, 3, 5))
            ctx.parts.append((part, seen, places.to(torch.uint8) if sparse else places))
        ctx.dtype, ctx.like, ctx.sparse = dtype, weight, sparse
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        weight: Tensor = ctx.like
        total = torch.empty(0)
        for number, (part, seen, places) in enumerate(ctx.parts):
            own = part.of(grad, slice(None)).permute(1, 2, 3, 4, 0, 5).reshape(places.shape).to(ctx.dtype)
            found = (
                ctx.sparse(own, places, seen) if ctx.sparse else _products(own, places, seen).sum(0, dtype=weight.dtype)
            )
            total = total.add_(found) if number else found
        return None, total[:, : weight[0, 0].numel()].view_as(weight), None, None


class LaterConvolution(torch.autograd.Function):
    """Activations [F, B, T, H, W, C], weights [F, C', C, 3, 3, 3] -> [F, B, T', H', W', C']; 'same' convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, block: Block, dtype: torch.dtype) -> Tensor:
        out, places = _places(weight, x.shape[1], block)
        kernels = _kernels(weight, block, dtype)
        for part in parts(block, weight, x.shape[1]):
            for folds, kernel in kernels:
                seen, groups = _channels(x[folds, part.clips], dtype), len(x[folds])
                y = _convolve(seen, kernel, None, [1] * 3, [1] * 3, [1] * 3, False, [0] * 3, groups)
                _pool(y, block, part.of(out, folds), part.of(places, folds))
        ctx.block, ctx.dtype = block, dtype
        ctx.save_for_backward(x, weight, places)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight, places = ctx.saved_tensors
        block, to_x, to_weight = ctx.block, torch.empty_like(x), torch.zeros_like(weight)
        kernels = _kernels(weight, block, ctx.dtype)
        for part in parts(block, weight, x.shape[1]):
            for folds, kernel in kernels:
                seen, groups = _channels(x[folds, part.clips], ctx.dtype), len(x[folds])
                back = _unpool(part.of(grad, folds), part.of(places, folds), block, ctx.dtype)
                own_x, own = _later_gradients(back, seen, kernel, groups, weight.dtype)
                to_x[folds, part.clips] = _folds_first(own_x, groups)
                to_weight[folds] += own.unflatten(0, (-1, block.filters))
        return to_x, to_weight, None, None


def parts(block: Block, weight: Tensor, clips: int) -> Iterator[Part]:
    """A batch in parts of whole clips; where one clip is much, and the block has no padding, in parts of its frames."""
    several, step = part_size(block, len(weight), weight.device.type, weight.itemsize)
    for clip in range(0, clips, several):
        for start in range(0, block.shape[0], step):
            yield Part(slice(clip, clip + several), start, min(start + step, block.shape[0]))


def _kernels(weight: Tensor, block: Block, dtype: torch.dtype) -> list[tuple[slice, Tensor]]:
    """Weights [f x C', ...] of the folds that one convolution takes, and which folds these are."""
    size = folds_at_once(block, len(weight), weight.device.type)
    slices = [slice(fold, fold + size) for fold in range(0, len(weight), size)]
    return [(folds, weight[folds].flatten(0, 1).to(dtype)) for folds in slices]


def _frames_as_channels(weight: Tensor, block: Block, pixels: Tensor, dtype: torch.dtype) -> list[tuple[slice, Tensor]]:
    """Kernels with zeros for the frames by which the pixels are longer than what they need."""
    taps = pixels.shape[3] - block.computed[0] + 1
    return _kernels(F.pad(weight, (0, 0, 0, 0, 0, taps - weight.shape[2])), block, dtype)


def _unfolded(pixels: Tensor, part: Part, block: Block, dtype: torch.dtype) -> Tensor:
    """Every frame of a part with those that follow it as channels: [n, taps, H, W], channels last."""
    taps, pool = pixels.shape[3] - block.computed[0] + 1, block.pool[0]
    frames = pixels[part.clips, :, :, part.start * pool : part.stop * pool + taps - 1].unfold(3, taps, 1)
    seen = frames.permute(0, 3, 1, 2, 4)
    return torch.empty(seen.shape, dtype=dtype, device=seen.device).copy_(seen).flatten(0, 1).permute(0, 3, 1, 2)


def _patches(pixels: Tensor, part: Part, block: Block, kernels: Tensor) -> Tensor:
    """What a kernel meets at every place of every pooling window: [27, windows, values in the order of its own]."""
    (taps, rows, columns), (pool, *_) = block.kernel, block.pool
    frames = pixels[part.clips, :, :, part.start * pool : part.stop * pool + taps - 1]
    windows = frames.unfold(3, taps, 1).unfold(1, rows, 1).unfold(2, columns, 1)  # [n, H, W, T, taps, rows, columns]
    apart = windows.unflatten(3, (-1, pool)).unflatten(2, (-1, pool)).unflatten(1, (-1, pool))
    ordered = apart.permute(6, 2, 4, 0, 5, 1, 3, 7, 8, 9)  # [3, 3, 3, n, T', H', W', taps, rows, columns]
    out = kernels.new_empty((*ordered.shape[:7], kernels.shape[1]))
    count = taps * rows * columns
    out[..., :count].unflatten(7, block.kernel).copy_(ordered)
    if count < out.shape[7]:
        out[..., count:].zero_()
    return out.flatten(3, 6).flatten(0, 2)


def _products(grad: Tensor, places: Tensor, seen: Tensor) -> Tensor:
    """Gradients of the kernels by each place of a pooling window [27, f x C, values], from what was pooled."""
    before = grad.new_zeros((len(seen), *places.shape)).scatter_(0, places[None], grad[None])
    return before.mT @ seen


def _aligned(kernels: Tensor, dtype: torch.dtype) -> Tensor:
    """Kernels [f x C, n] with zeros up to a multiple of 8, without which a GPU multiplies at a fraction of its rate."""
    return F.pad(kernels, (0, -kernels.shape[1] % 8)).to(dtype)


def _channels(x: Tensor, dtype: torch.dtype) -> Tensor:
    """[f, n, T, H, W, C] -> [n, f x C, T, H, W], channels last, as a grouped convolution reads it."""
    return x.permute(1, 2, 3, 4, 0, 5).flatten(4).to(dtype).permute(0, 4, 1, 2, 3)


def _folds_first(y: Tensor, folds: int) -> Tensor:
    """[n, f x C, T, H, W] -> [f, n, T, H, W, C]."""
    return y.unflatten(1, (folds, -1)).permute(1, 0, 3, 4, 5, 2)


def _places(weight: Tensor, clips: int, block: Block) -> tuple[Tensor, Tensor]:
    """Room for what a block pools [F, B, T', H', W', C], and for where in its part each maximum was."""
    shape = (len(weight), clips, *block.shape, block.filters)
    return weight.new_empty(shape), weight.new_empty(shape, dtype=torch.int32)


def _pool(y: Tensor, block: Block, out: Tensor, places: Tensor) -> None:
    """Maxima of y [n, f x C, T, H, W], and where they were, to [f, n, T', H', W', C]."""
    highest, index = _max_pool(y, block.pool)
    out.copy_(_folds_first(highest, len(out)))
    places.copy_(_folds_first(index, len(out)))


def _unpool(grad: Tensor, places: Tensor, block: Block, dtype: torch.dtype) -> Tensor:
    """The gradient [f, n, T', H', W', C] of what was pooled: [n, f x C, T, H, W], zeros but at the maxima."""
    own, index = _channels(grad, dtype), _channels(places, torch.int64)
    rows = block.convolved[1:] if block.padding else block.computed[1:]
    frames = block.convolved[0] if block.padding else grad.shape[2] * block.pool[0]
    shape = (*own.shape[:2], frames, *rows)
    before = torch.empty(shape, dtype=dtype, device=grad.device, memory_format=torch.channels_last_3d)
    return _max_unpool(own, before, block.pool, block.pool, [0] * 3, [1] * 3, False, index)


def _later_gradients(
    grad: Tensor, seen: Tensor, kernel: Tensor, groups: int, exact: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Gradients of a later block's input and kernel.

    On a CPU oneDNN's bfloat16 gradient of a 3-D kernel reads memory that nobody wrote (torch 2.13: NaN, or another sum
    every time), so that one is computed in the weights' own type.
    """
    if grad.dtype == exact or grad.device.type != "cpu":
        return _gradients(grad, seen, kernel, [1] * 3, groups, [True, True])
    to_seen = _gradients(grad, seen, kernel, [1] * 3, groups, [True, False])[0]
    grad, seen, kernel = grad.to(exact), seen.to(exact), kernel.to(exact)
    return to_seen, _gradients(grad, seen, kernel, [1] * 3, groups, [False, True])[1]


def _gradients(
    grad: Tensor, seen: Tensor, kernel: Tensor, padding: Sequence[int], groups: int, wanted: Sequence[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients of a convolution's input and kernel."""
    ones, none = [1] * len(padding), [0] * len(padding)
    found = _differentiate(grad, seen, kernel, None, ones, padding, ones, False, none, groups, [*wanted, False])
    return found[0], found[1]
