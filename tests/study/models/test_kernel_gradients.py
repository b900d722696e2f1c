"""The Triton kernel, by Triton's interpreter, which needs no GPU."""

import subprocess
import sys

import pytest

COMPARED = """
import torch
from study.models.kernel_gradients import sums
for windows, filters, values in ((200, 130, 40), (96, 7, 8), (1, 1, 136)):
    dtype = torch.float32 if windows == 96 else torch.float64
    draw = torch.Generator().manual_seed(windows)
    grad = torch.randn(windows, filters, dtype=dtype, generator=draw)
    places = torch.randint(0, 27, (windows, filters), dtype=torch.uint8, generator=draw)
    seen = torch.randn(27, windows, values, dtype=dtype, generator=draw)
    apart = grad.new_zeros(27, windows, filters).scatter_(0, places.long()[None], grad[None])
    torch.testing.assert_close(sums(grad, places, seen), (apart.mT @ seen).sum(0))
"""


def test_sums_are_those_of_products_with_zeros():
    pytest.importorskip("triton", reason="Triton is not installed: torch brings it along in its builds for GPUs")
    subprocess.run(
        [sys.executable, "-c", COMPARED], check=True, env={"TRITON_INTERPRET": "1", "PYTHONPATH": ":".join(sys.path)}
    )
