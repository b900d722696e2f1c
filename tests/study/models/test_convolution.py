"""Convolution and pooling in parts against torch's whole ones, with autograd as the oracle of their gradients."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from search_spaces.config import TrialConfig
from study.models import geometry as sizes
from study.models.convolution import FirstConvolution, LaterConvolution, parts
from study.models.geometry import geometry

CONFIG = TrialConfig(frames=16, crop=20, kernel_time=4, filters=5, depth=2, precision="float64")


def blocks(**changes):
    return geometry(replace(CONFIG, **changes), 3).streams[0].blocks


def first(pixels, weight, block):
    """[B, T, H, W] and [F, C, taps, rows, columns] -> [F, B, T', H', W', C], as it is usually written."""
    y = F.max_pool3d(F.conv3d(pixels[:, None], weight.flatten(0, 1)[:, None]), block.pool)
    return y.unflatten(1, (len(weight), -1)).permute(1, 0, 3, 4, 5, 2)


def later(x, weight, block):
    y = [F.max_pool3d(F.conv3d(a.movedim(4, 1), w, padding=1), block.pool) for a, w in zip(x, weight, strict=True)]
    return torch.stack(y).movedim(2, 5)


def same(ours, theirs, inputs, **tolerance):
    """Values and gradients."""
    torch.testing.assert_close(ours, theirs, **tolerance)
    weights = torch.rand_like(theirs)
    for a, b in zip(
        torch.autograd.grad((ours * weights).sum(), inputs),
        torch.autograd.grad((theirs * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize("most", [1, 3_000, 10**9])  # values of a part: a frame, some frames, several clips, all
@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("filters", [5, 20])  # several folds in one convolution, and one after another
def test_the_first_block_is_conv3d_and_max_pool(most, spare, filters, monkeypatch):
    monkeypatch.setattr(sizes, "DOUBLE", most)
    block = blocks(filters=filters)[0]
    pixels = torch.randn(4, 16, 20, 20, dtype=torch.float64)
    weight = torch.randn(3, filters, *block.kernel, dtype=torch.float64, requires_grad=True)
    rows, columns = (n + k - 1 for n, k in zip(block.computed[1:], block.kernel[1:], strict=True))
    frames = block.computed[0] + block.kernel[0] - 1
    seen = F.pad(pixels[:, :frames, :rows, :columns].permute(0, 2, 3, 1), (0, spare)).contiguous()
    ours = FirstConvolution.apply(seen, weight, block, torch.float64)
    same(ours, first(pixels, weight, block), [weight])


@pytest.mark.parametrize("most", [1, 10**9])
@pytest.mark.parametrize("filters", [5, 20])
def test_later_blocks_are_conv3d_and_max_pool(most, filters, monkeypatch):
    monkeypatch.setattr(sizes, "DOUBLE", most)
    block = blocks(filters=filters)[1]
    x = torch.randn(3, 4, *block.convolved, block.inputs, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, block.filters, block.inputs, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    same(LaterConvolution.apply(x, weight, block, torch.float64), later(x, weight, block), [x, weight])


def test_all_folds_in_one_grouped_convolution_as_on_a_gpu(monkeypatch):
    monkeypatch.setattr("study.models.convolution.folds_at_once", lambda _block, folds, _device: folds)
    block = blocks(filters=20)[1]
    x = torch.randn(3, 4, *block.convolved, block.inputs, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, block.filters, block.inputs, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    same(LaterConvolution.apply(x, weight, block, torch.float64), later(x, weight, block), [x, weight])


def test_a_fold_has_the_same_bytes_alone_and_in_a_group():
    block = blocks(filters=32, precision="float32")[0]
    pixels, weight = torch.randn(16, 20, 20, 16), torch.randn(4, 32, *block.kernel)
    pixels = pixels[:, : block.computed[1] + 2, : block.computed[2] + 2, : block.computed[0] + 3].contiguous()
    together = FirstConvolution.apply(pixels, weight, block, torch.float32)
    for fold in range(4):
        alone = FirstConvolution.apply(pixels, weight[fold : fold + 1], block, torch.float32)
        assert torch.equal(alone[0], together[fold])


def test_bfloat16_rounds_what_is_multiplied_and_nothing_else():
    block = blocks()[0]
    pixels = torch.randint(-255, 256, (4, 16, 20, 20)).float()  # exact in bfloat16
    weight = torch.randn(2, 5, *block.kernel).bfloat16().float().requires_grad_()
    seen = pixels.permute(0, 2, 3, 1)[:, : block.computed[1] + 2, : block.computed[2] + 2, : block.computed[0] + 3]
    ours = FirstConvolution.apply(seen.contiguous(), weight, block, torch.bfloat16)
    assert ours.dtype == torch.float32
    exact = first(pixels, weight, block)
    assert ((ours - exact).abs() <= 2**-8 * exact.abs()).all()  # the result is rounded once
    (gradient,) = torch.autograd.grad(ours.sum(), weight)
    assert gradient.dtype == torch.float32
    assert gradient.isfinite().all()


def test_parts_cover_a_batch_once():
    for block in blocks():
        for clips in (1, 7):
            seen = torch.zeros(1, clips, *block.shape, 1)
            for part in parts(block, torch.zeros(1), clips):
                part.of(seen, slice(None)).add_(1)
            assert (seen == 1).all()
