"""study.models.fake_gpu with a count of what the GPU is given.

What would make a program wait for a real one raises: item and a tensor's truth (torch's DataDependentOutputException),
nonzero and boolean indexing (DynamicOutputShapeException), and copies to the CPU (Waits).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from torch.utils._python_dispatch import TorchDispatchMode

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


@contextmanager
def counted() -> Iterator[Launches]:
    """Within, tensors are fake, and those on `device` of what is given are on the GPU."""
    with fake_gpu.fake_gpu() as device, Launches(device) as launches:
        yield launches
