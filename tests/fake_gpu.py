"""A GPU without a GPU: fake tensors, which have shapes, types and a device and no values, on a device that torch lacks.

What would make a program wait for a real one raises: item and a tensor's truth (torch's DataDependentOutputException),
nonzero and boolean indexing (DynamicOutputShapeException), and copies to the CPU (Waits). So does an operation on
tensors of two devices (FakeTensorDeviceMismatchError).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

# Operations after which a GPU has no more to do than before: another look at a tensor, or room for one.
_FREE = {
    *("_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "expand", "permute", "select", "slice"),
    *("split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "lift_fresh"),
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
}


class Waits(RuntimeError):
    """The program would wait for the GPU."""


class Launches(TorchDispatchMode):
    """Operations that the GPU is given, by name, while `counting`; there a copy to the CPU is an error."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.counting = device, False
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = operation.overloadpacket.__name__
        out = operation(*args, **(kwargs or {}))
        if self.counting and name not in _FREE and name != "device":
            if name == "_to_copy" and args[0].device != out.device and out.device.type == "cpu":
                raise Waits("a copy to the CPU waits for all that the GPU was given")
            self.counts[name] += 1
        return out


@contextmanager
def fake_gpu() -> Iterator[Launches]:
    """Within, tensors are fake, and those on `device` of what is given are on the GPU."""
    launches = Launches(_device())
    with FakeTensorMode(allow_non_fake_inputs=True), launches:
        yield launches


def moved(network: nn.Module, device: str) -> nn.Module:
    """A module to a device, tensor by tensor, which nn.Module.to refuses to do with fake ones."""
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(weight.detach().to(device), weight.requires_grad)
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to(device)
    return network


@cache
def _device() -> str:
    """A device of this process that stands for a GPU: torch built for a CPU has no `cuda`, nor gradients on it."""
    _setup_privateuseone_for_python_backend("gpu")
    for name in ("_fused_sgd_", "_fused_sgd_.tensor_lr", "_fused_adamw_", "_fused_adamw_.tensor_lr"):  # torch has none
        torch.library.register_fake(f"aten::{name}", lambda *weights, **options: None)
    return "gpu:0"
