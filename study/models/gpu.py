"""Where a GPU computes otherwise than a CPU: one question, `is_gpu`, decides, which a test may answer for itself."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor


def is_gpu(device: torch.device) -> bool:
    """Whether this device draws its own masks and weights, and is kept busy by few large operations."""
    return device.type != "cpu"


def sent(x: Tensor, device: torch.device) -> Tensor:
    """To a device, without waiting for it: a GPU takes it from pinned memory while the program goes on."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


@cache
def sums() -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """models.sums.sums, where this process has a GPU and can compile it."""
    if not torch.cuda.is_available():
        return None
    try:
        from study.models import kernel_gradients as by_triton
    except ImportError:  # torch brings Triton along on Linux only
        return None
    return by_triton.sums if by_triton.works() else None
