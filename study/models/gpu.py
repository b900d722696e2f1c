"""What is done otherwise on a GPU than on a CPU, behind one question that a test answers for itself."""

import torch
from torch import Tensor


def is_gpu(device: torch.device) -> bool:
    """Whether this device draws its own masks and weights, and is kept busy by few large operations."""
    return device.type != "cpu"


def sent(x: Tensor, device: torch.device) -> Tensor:
    """To a device, without waiting for it: a GPU takes it from pinned memory while the program goes on."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)
