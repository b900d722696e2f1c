"""This machine's processors, memory and GPUs, and how many trials at a time they hold. No torch, no Ray."""

import os
from dataclasses import dataclass
from pathlib import Path

from search_spaces.spec import Resources
from study.data.building import cores


@dataclass(frozen=True)
class Machine:
    """What there is to share out: `memory` in bytes."""

    cpus: int
    gpus: int
    memory: int

    def slots(self, resources: Resources) -> int:
        """Trials that it holds at a time; 0 where it holds none."""
        return resources.where(self.gpus > 0).slots({"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory})


def here() -> Machine:
    """This machine; of its GPUs those that CUDA_VISIBLE_DEVICES leaves."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if visible is not None:
        gpus = min(gpus, len([name for name in visible.split(",") if name.strip()]))
    return Machine(cores(), gpus, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def multiplies_bfloat16() -> bool | None:
    """Whether this processor has units for bfloat16 (AVX-512 or AMX, or Arm's); None where the system does not say."""
    if not (file := Path("/proc/cpuinfo")).exists():
        return None
    words = file.read_text(encoding="utf-8").split()
    return any(flag in words for flag in ("avx512_bf16", "amx_bf16", "bf16"))
