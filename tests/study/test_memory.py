import platform
import subprocess
import sys

import pytest

PROGRAM = """
import numpy
from study.memory import release_memory, tune_malloc

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
