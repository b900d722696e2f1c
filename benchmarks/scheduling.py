"""What scheduling costs: Ray Tune and the ledger beside the same blocks in a bare pool of as many processes.

    python benchmarks/scheduling.py [--blocks 50] [--slots 2] [--spin]

A trial is 8 blocks that sleep (or spin: they then compete with the driver for the processors) for so many milliseconds.
Times are from the first block to the last, start-up apart; the driver is the study's own process and Tune's.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.config import TrialConfig
from search_spaces.designs import Arm
from search_spaces.spec import Resources
from study.data.clips import Clips
from study.ledger.fold_reuse import Library
from study.ledger.writer import Ledger
from study.scheduling import serial_executor
from study.scheduling.ray_executor import RayTune
from study.scheduling.scheduler import FixedDesign, Scheduler
from study.scheduling.serial_executor import Executor
from study.trials.fold_identity import Arithmetic
from study.trials.trial import FoldResult, Trial, trial_keys

BLOCKS = 8  # of a trial: one a subject
TRIALS = {0: 1000, 50: 200, 500: 40}  # by milliseconds of a block
CLIPS = 160


def clips() -> Clips:
    """Eight subjects of twenty clips without pixels."""
    owners = np.arange(CLIPS) % BLOCKS
    return Clips(
        ids=np.array([f"clip{i:03}" for i in range(CLIPS)]),
        subjects=np.array([f"s{owner}" for owner in owners]),
        labels=np.arange(CLIPS) // BLOCKS % 3,
        classes=("negative", "positive", "surprise"),
        first=np.arange(CLIPS),
        frames=np.ones(CLIPS, np.int64),
        apex=np.zeros(CLIPS, np.int64),
        fps=np.full(CLIPS, 100.0),
        pixels={"face": np.zeros((CLIPS, 1, 1), np.uint8)},
        digests={"index": "none", "face": "none", "fps": "none"},
    )


def wait(seconds: float, spin: bool) -> None:
    end = time.perf_counter() + seconds
    if not spin:
        time.sleep(seconds)
    while time.perf_counter() < end:
        continue


@dataclass(frozen=True)
class Idle:
    """A trial function that trains nothing: a fold is so many seconds, and says that all clips are negative."""

    seconds: float
    spin: bool

    def __call__(
        self, trial: Trial, data: Clips, done: Mapping[str, Arithmetic | None], resources: Resources
    ) -> Iterator[list[FoldResult]]:
        rows = [[i, data.classes[t], "negative", [0.5, 0.25, 0.25]] for i, t in zip(data.ids, data.labels, strict=True)]
        for number, key in enumerate(trial_keys(trial, data)):
            wait(self.seconds, self.spin)
            own = json.dumps([row for row, s in zip(rows, data.subjects, strict=True) if s == f"s{number}"])
            made = Arithmetic("none", "none", 1, "none", "float32", 1)
            yield [
                FoldResult(key, made, trial.config.key(), trial.seeds[0], f"s{number}", own, self.seconds, 0, "here")
            ]


def in_pool(work: Idle, trials: int, slots: int) -> float:
    """Seconds that the blocks take in a bare pool that stores nothing."""
    with get_context("fork").Pool(slots) as pool:
        pool.map(time.sleep, [0.01] * slots)
        began = time.perf_counter()
        for _ in pool.imap_unordered(_blocks, [work] * trials):
            continue
        return time.perf_counter() - began


def _blocks(work: Idle) -> None:
    for _ in range(BLOCKS):
        wait(work.seconds, work.spin)


class Meter:
    """Sees each block: when the first and the last came, and what the driver's processes had used by then."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.times: list[float] = []
        self.usage: list[tuple[float, float]] = []

    def saw(self, trial: Trial, event: str, number: int, value: float | None = None) -> None:
        if event == "trained":
            self.times.append(time.perf_counter())
            if len(self.times) % 100 == 1 or len(self.times) == self.blocks:
                self.usage.append(self._used())

    def _used(self) -> tuple[float, float]:
        """CPU seconds and resident MiB of this process and Tune's."""
        found = [_process(pid) for pid in (os.getpid(), *_children("study.scheduling.ray_process"))]
        return sum(cpu for cpu, _ in found), sum(memory for _, memory in found)


def _children(word: str) -> list[int]:
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in listed if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _process(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(executor: Executor, trials: int) -> dict[str, float]:
    """Run so many trials, and say what it took."""
    base = TrialConfig()
    arms = [Arm("ablate", f"arm{i}", replace(base, learning_rate=1e-3 + 1e-6 * i), (1,), {}) for i in range(trials)]
    meter = Meter(trials * BLOCKS)
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "study") as ledger:
        source = FixedDesign(arms, ledger, lambda config: 1.0)
        scheduler = Scheduler([source], ledger, clips(), meter, Library(Path(folder), "study"))
        began = time.perf_counter()
        executor(scheduler, clips(), Resources())
        assert ledger.db.execute("select count(*) from outcome where state='complete'").fetchone()[0] == trials
    cpu, memory = (meter.usage[-1][i] - meter.usage[0][i] for i in (0, 1))
    return {
        "seconds": meter.times[-1] - meter.times[0],
        "start-up": meter.times[0] - began,
        "CPU ms a block": 1e3 * cpu / (trials * BLOCKS),
        "CPU ms a trial": 1e3 * cpu / trials,
        "MiB more": memory,
    }


def ledger_rate(blocks: int = 1000) -> float:
    """Blocks a second that the scheduler writes down, one transaction each, nothing else going on."""
    began = time.perf_counter()
    measure(_straight_through, blocks // BLOCKS)
    return blocks / (time.perf_counter() - began)


def _straight_through(scheduler: Scheduler, data: Clips, resources: Resources) -> None:
    while (trial := scheduler.take()) is not None:
        for folds in Idle(0, False)(trial, data, {}, resources):
            scheduler.record(trial, folds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, choices=TRIALS, default=50, help="milliseconds")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--spin", action="store_true")
    given = parser.parse_args()
    trials, work = TRIALS[given.blocks], Idle(given.blocks / 1e3, given.spin)
    kind = "spinning" if given.spin else "sleeping"
    print(f"{trials} trials x {BLOCKS} {kind} blocks of {given.blocks} ms, {given.slots} processes")
    if given.blocks:
        pool = in_pool(work, trials, given.slots)
        print(f"bare pool       {pool:7.2f} s")
    tune = measure(RayTune(given.slots, block_seconds=0, run=work), trials)
    print(
        f"Ray Tune        {tune['seconds']:7.2f} s" + (f"   ratio {tune['seconds'] / pool:.3f}" if given.blocks else "")
    )
    print("                " + ", ".join(f"{name} {value:.1f}" for name, value in tune.items() if name != "seconds"))
    if given.blocks == 50:
        _print_serial(work, trials // 10)
        print(f"ledger          {ledger_rate():7.0f} blocks a second")


def _print_serial(work: Idle, trials: int) -> None:
    def serial(scheduler: Scheduler, data: Clips, resources: Resources) -> Any:
        return serial_executor.serial(scheduler, data, resources, run=work)

    found, alone = measure(serial, trials), trials * BLOCKS * work.seconds
    print(f"serial          {found['seconds']:7.2f} s   ratio {found['seconds'] / alone:.3f} ({trials} trials)")
    print("                " + ", ".join(f"{name} {value:.1f}" for name, value in found.items() if name != "seconds"))


if __name__ == "__main__":
    main()
