import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search_spaces.config import TrialConfig
from study.models.sizes import fold_group, trial_bytes
from study.system.memory import ran_out

PROGRAM = """
import numpy
from study.system.memory import release_memory, tune_malloc

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4 // 1024

tune_malloc()
block = numpy.ones(25_000_000)
full = resident()
del block
kept = resident()
release_memory()
print(full, kept, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is tuned")
def test_freed_memory_is_kept_until_it_is_released():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    full, kept, released = map(int, run.stdout.split())
    assert kept > full - 10  # MiB
    assert released < full - 150


ROOT = Path(__file__).parents[3]


def program_with_noise(program):
    """Run it in a process that finds the benchmarks' clips of noise."""
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", program], env=os.environ | paths, capture_output=True, text=True)


# An epoch of two batches in a process of its own: what it took at its peak, beside the masters, and what was told.
PEAK = """
from dataclasses import replace
import torch
from search_spaces.config import TrialConfig
from study.system.memory import peak_memory, tune_malloc
from study.models.sizes import trial_bytes
from study.training.protocol import loso
from study.training.train import train
from plain import noise

config = replace(TrialConfig(**{factors}), epochs=1)
tune_malloc()
torch.set_num_threads(1)
clips = noise(config, 32, 8)
train(config, clips, loso(clips, 0)[:{folds}])
masters = sum(pixels.nbytes for pixels in clips.pixels.values())
print(peak_memory() - masters / 2**20, trial_bytes(config, 3, {folds}, 32) / 2**20)
"""
SETTINGS = {
    "a": {"frames": 16, "crop": 32, "kernel_time": 5},
    "b": {},
    "c": {"frames": 96},
    "d": {"frames": 24, "crop": 48, "kernel_time": 3, "depth": 2},
    "e": {"regions": "eyes+mouth", "fusion": "intermediate"},
    "t": {"frames": 8, "crop": 24, "kernel_time": 3, "filters": 8},
}


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the peak is that of glibc's malloc")
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_peak_is_within_a_fifth_of_what_the_plan_says(setting, precision):
    folds = (1 if precision == "float64" else 3) if setting == "c" else 4
    program = PEAK.format(factors=SETTINGS[setting] | {"precision": precision}, folds=folds)
    run = program_with_noise(program)
    assert run.returncode == 0, run.stderr
    peak, told = map(float, run.stdout.split())
    assert peak == pytest.approx(told, rel=0.2)


def test_the_papers_casme2_runs_in_8_gib():
    config = TrialConfig(frames=96)
    group = fold_group(config, 3, 8 * 2**30, "cpu", 22)
    assert group > 1
    assert trial_bytes(config, 3, group, 206) < 8 * 2**30


# The address space ends before the first trial does; the second one has enough.
SHORT = """
import resource
from dataclasses import replace
import torch
from search_spaces.config import TrialConfig
from search_spaces.spec import Resources
from study.trials.trial import OutOfMemory, Trial, prepare_process, run_trial
from plain import noise

small = TrialConfig(frames=8, crop=24, kernel_time=3, filters=4, hidden=8, epochs=1)
large = replace(small, hidden=4096, filters=256)
clips, given = noise(small, 12, 3), Resources(memory=4)
prepare_process(given)
list(run_trial(Trial(0, "ablate", "small", small, (1,)), clips, {}, given))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, resource.RLIM_INFINITY))
try:
    list(run_trial(Trial(1, "ablate", "large", large, (1,)), clips, {}, given))
except OutOfMemory as error:
    print(error)
print(len(list(run_trial(Trial(2, "ablate", "small", small, (2,)), clips, {}, given))))
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="the address space is limited as Linux does it")
def test_a_trial_without_memory_says_what_it_needs_and_the_next_one_runs():
    run = program_with_noise(SHORT)
    assert run.returncode == 0, run.stderr
    message, groups = run.stdout.splitlines()
    assert re.match(r"out of memory: this trial takes about \d+\.\d GiB with 3 folds as one network, ", message)
    assert "resources.memory" in message
    assert groups == "1"


def test_out_of_memory_is_told_from_other_errors():
    assert ran_out(MemoryError())
    assert ran_out(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"))
    assert ran_out(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert not ran_out(RuntimeError("shape mismatch"))
