"""A GPU without a GPU: fake tensors, which have shapes, types and a device and no values, on a device that torch lacks.

What a program does on a GPU can be tried where there is none: an operation on tensors of two devices raises.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend


@contextmanager
def fake_gpu() -> Iterator[str]:
    """Within, tensors are fake; the device that stands for a GPU."""
    device = stand_in()
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield device


def moved(network: nn.Module, device: str) -> nn.Module:
    """A module to that device, tensor by tensor: nn.Module.to refuses to with fake ones."""
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(weight.detach().to(device), weight.requires_grad)
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to(device)
    return network


@cache
def stand_in() -> str:
    """A device of this process that stands for a GPU: torch built for a CPU has no `cuda`.

    Gradients there need it to be made before the process's first gradient of anything.
    """
    _setup_privateuseone_for_python_backend("gpu")
    for name in ("_fused_sgd_", "_fused_sgd_.tensor_lr", "_fused_adamw_", "_fused_adamw_.tensor_lr"):  # torch has none
        torch.library.register_fake(f"aten::{name}", lambda *weights, **options: None)
    return "gpu:0"
