"""How a process that trains keeps its memory: on Linux with glibc, and nowhere else."""

import ctypes
import platform
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def tune_malloc() -> None:
    """Keep the memory of freed tensors, from process start: by default page faults take 25-55 % of training."""
    if libc := _glibc():
        libc.mallopt(_M_MMAP_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 64 << 20)


def release_memory() -> None:
    """Give freed memory back to the system, between the trials of a process that stays."""
    if libc := _glibc():
        libc.malloc_trim(0)


def reset_peak() -> None:
    """Begin to measure the peak anew, where the system can (Linux)."""
    if _STATUS.exists():
        _STATUS.with_name("clear_refs").write_text("5")


def peak_memory() -> float:
    """Largest resident memory of this process in MiB: since `reset_peak` on Linux, elsewhere since it began."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on a Mac


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
