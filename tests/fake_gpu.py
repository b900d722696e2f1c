"""study.models.fake_gpu with a count of what the GPU is given.

What would make a program wait for a real one raises: item and a tensor's truth (torch's DataDependentOutputException),
nonzero and boolean indexing (DynamicOutputShapeException), and copies to the CPU (Waits).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from study.models import fake_gpu

# Operations after which a GPU has no more to do than before: another look at a tensor, or room for one.
_FREE = {
    *("_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "expand", "permute", "select", "slice"),
    *("split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "lift_fresh"),
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "device"),
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
        if self.counting and name not in _FREE:
            if name == "_to_copy" and args[0].device != out.device and out.device.type == "cpu":
                raise Waits("a copy to the CPU waits for all that the GPU was given")
            self.counts[name] += 1
        return out


class Peak(TorchDispatchMode):
    """The most bytes that tensors on the GPU took at a time."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.bytes = torch.device(device), 0
        self.storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = operation(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if isinstance(x, torch.Tensor) and x.device == self.device:
                storage = x.untyped_storage()
                self.storages.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))
        if sum(size for _, size in self.storages.values()) > self.bytes:  # of which some may be gone
            self.storages = {key: one for key, one in self.storages.items() if not one[0].expired()}
            self.bytes = max(self.bytes, sum(size for _, size in self.storages.values()))
        return out


@contextmanager
def counted() -> Iterator[Launches]:
    """Within, tensors are fake, and those on `device` of what is given are on the GPU."""
    with fake_gpu.fake_gpu() as device, Launches(device) as launches:
        yield launches
