"""How a process that trains keeps its memory: on Linux with glibc, and nowhere else."""

import ctypes
import platform
import re
import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

_STATUS = Path("/proc/self/status")
_NO_MEMORY = re.compile(r"can't allocate memory|CUDA (error: )?out of memory|_STATUS_ALLOC_FAILED")
_BROKEN = re.compile(r"CUDA (driver )?error|(CUDNN|CUBLAS|CUSOLVER|CUFFT)_STATUS_|cuDNN error")
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def tune_malloc() -> None:
    """Keep the memory of freed tensors, from process start: by default page faults take 25-55 % of training."""
    if libc := _glibc():
        libc.mallopt(_M_MMAP_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 64 << 20)


def release_memory() -> None:
    """Give freed memory back to the system, between the trials of a process that stays; a GPU's, too."""
    if libc := _glibc():
        libc.malloc_trim(0)
    if (torch := _torch_on_gpu()) is not None:
        torch.cuda.empty_cache()


def reset_peak() -> None:
    """Begin to measure the peak anew, where the system can (Linux)."""
    with suppress(OSError):  # a kernel, or a container's policy, may lack it: then the peak is since the process began
        _STATUS.with_name("clear_refs").write_text("5")
    if (torch := _torch_on_gpu()) is not None:
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str = "cpu") -> float:
    """Largest memory in MiB: resident of this process, since `reset_peak` on Linux, elsewhere since it began.

    device: `cuda` asks for the card's instead, what torch allocated on it since `reset_peak`.
    """
    if device == "cuda" and (torch := _torch_on_gpu()) is not None:
        return float(torch.cuda.max_memory_allocated() / 2**20)
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on a Mac


def ran_out(error: Exception) -> bool:
    """Whether an error says that memory did not suffice: Python's, torch's on a CPU (a RuntimeError), or a GPU's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


def broke(error: Exception) -> bool:
    """Whether an error says that this process can use its GPU no more: every later call of it would fail as well."""
    return isinstance(error, RuntimeError) and not ran_out(error) and bool(_BROKEN.search(str(error)))


def _torch_on_gpu() -> ModuleType | None:
    """torch, where this process has it and has used a GPU by it."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
