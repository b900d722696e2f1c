"""This machine's processors, memory and GPUs, and how many trials at a time they hold. No torch, no Ray."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from search_spaces.spec import Resources

# Below its folder, the longest name of a socket of Ray's: date, microseconds, and the number of a process.
_SOCKET = "/session_2026-01-31_23-59-59_999999_4194304/sockets/plasma_store"


@dataclass(frozen=True)
class Machine:
    """CPUs, GPUs and memory (bytes) of this machine."""

    cpus: int
    gpus: int
    memory: int

    def slots(self, resources: Resources) -> int:
        """Trials that it holds at a time, its GPUs being of the model asked for; 0 where it holds none."""
        held = {
            "CPU": self.cpus,
            "GPU": self.gpus,
            "memory": self.memory,
            f"accelerator_type:{resources.accelerator}": 1,
        }
        return resources.where(self.gpus > 0).slots(held)


def here() -> Machine:
    """This machine; of its GPUs those that CUDA_VISIBLE_DEVICES leaves."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if visible is not None:
        gpus = min(gpus, len([name for name in visible.split(",") if name.strip()]))
    return Machine(cores(), gpus, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ray_folder() -> Path:
    """Where a Ray that is started here keeps its files, by its own rule."""
    of_system = os.environ.get("TMPDIR", "/tmp") if sys.platform.startswith("linux") else "/tmp"
    return Path(os.environ.get("RAY_TMPDIR", of_system)) / "ray"


def ray_folder_problem() -> str | None:
    """Why Ray would not start for the folder that it is given, and what to do; None where nothing is wrong with it."""
    folder = ray_folder()
    longest = len(os.fsencode(folder)) + len(_SOCKET)
    most = 107 if sys.platform.startswith("linux") else 103
    if not str(folder).isascii():
        why = "Ray takes only ASCII in the name of the folder of its files"
    elif longest > most:
        why = f"Ray's sockets there would have names of {longest} bytes, and the system takes {most}"
    else:
        return None
    return f"{folder}: {why}; name a short one: export RAY_TMPDIR=/tmp"


def multiplies_bfloat16() -> bool | None:
    """Whether this processor has units for bfloat16 (AVX-512 or AMX, or Arm's); None where the system does not say."""
    if not (file := Path("/proc/cpuinfo")).exists():
        return None
    words = file.read_text(encoding="utf-8").split()
    return any(flag in words for flag in ("avx512_bf16", "amx_bf16", "bf16"))
