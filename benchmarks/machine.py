"""The machine that a benchmark ran on."""

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def describe() -> str:
    """Processor, the flags that matter here, what torch makes of them, cores and versions."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split("\t: ") for line in text.splitlines() if "\t: " in line)
    flags = [flag for flag in FLAGS if flag in lines.get("flags\t", lines.get("flags", "")).split()]
    name = lines.get("model name", platform.processor())
    numbers = "/".join(lines.get(key, lines.get(f"{key}\t", "?")) for key in ("cpu family", "model\t", "stepping"))
    return (
        f"{name} (family/model/stepping {numbers}), {torch.get_num_threads()} thread, flags {' '.join(flags)}; torch "
        f"{torch.__version__} uses {torch.backends.cpu.get_cpu_capability()}; Python {platform.python_version()}"
    )


def matrix_product_peak(dtype: torch.dtype, size: int = 1536, device: str = "cpu") -> float:
    """GFLOP/s of a square matrix product by torch on this process's threads, or a GPU, the median of 5."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / median_seconds(lambda: a @ b, device=device) / 1e9


def convolution_peak(dtype: torch.dtype) -> float:
    """GFLOP/s of a wide 2-D convolution, which on some processors gets more out of them than the matrix product."""
    x = torch.randn(4, 128, 64, 64).to(dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(128, 128, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
    flops = 2 * 4 * 64 * 64 * 128 * 128 * 9
    return flops / median_seconds(lambda: torch.nn.functional.conv2d(x, kernel, padding=1)) / 1e9


def median_seconds(work: Callable[[], Any], repetitions: int = 5, device: str = "cpu") -> float:
    """Wall clock until the device has ended; the first time warms up."""

    def once() -> float:
        before = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - before

    once()
    return statistics.median(once() for _ in range(repetitions))
