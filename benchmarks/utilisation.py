"""How busy a search keeps its workers, beside proposals that know whatever has ended, and beside a fixed lag.

    python -m benchmarks.utilisation [REPETITIONS]

300 trials of 26 subjects on simulated workers, twice as many virtual slots (and a lag of as many trials). A fold lasts
its computed cost, spread over trials with SD sigma of the logarithm, times what a computation cannot know (SD .1). The
race stops trials as it does in `benchmarks.race`; what is trained of them are whole blocks. Busy: share of the workers'
time until the last trial has ended that they train, over the same share if every worker always took the next trial.
"""

import heapq
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np

from analysis.stats.metrics import Floats
from benchmarks.race import SPREAD, SUBJECTS, Table, race
from search_spaces.spec import Race
from study.search.virtual_clock import VirtualClock, Wait
from study.trials.race import block_sizes

SEED = 20270
REPETITIONS = 100
TRIALS = 300
WORKERS = (4, 8, 16)
SIGMAS = (0.5, 0.9)
UNKNOWN = 0.1
P, FIRST = Race().p, Race().first
ENDS = list(accumulate(block_sizes(SUBJECTS)))


class Rule(Protocol):
    """What decides when the next trial may begin; `study.search.virtual_clock.VirtualClock` is one."""

    def begin(self, number: int, least: float) -> None: ...
    def progress(self, number: int, least: float) -> None: ...
    def finish(self, number: int, cost: float) -> None: ...
    def next_end(self) -> int | None: ...


class Freely:
    """A trial begins when a worker is free."""

    def begin(self, number: int, least: float) -> None: ...
    def progress(self, number: int, least: float) -> None: ...
    def finish(self, number: int, cost: float) -> None: ...
    def next_end(self) -> int | None:
        return None


class FixedLag:
    """Trial i begins when trials 0 to i - lag have ended."""

    def __init__(self, lag: int) -> None:
        self.lag, self.begun, self.running = lag, 0, set[int]()

    def begin(self, number: int, least: float) -> None:
        self.begun = number + 1
        self.running.add(number)

    def progress(self, number: int, least: float) -> None: ...
    def finish(self, number: int, cost: float) -> None:
        self.running.remove(number)

    def next_end(self) -> int | None:
        if min(self.running, default=self.begun) <= self.begun - self.lag:
            raise Wait
        return None


@dataclass(frozen=True)
class Work:
    """The trials: computed cost and seconds of a fold, and the subjects that each keeps [TRIALS]."""

    raced: bool
    costs: Floats
    seconds: Floats
    kept: list[int]

    @classmethod
    def draw(cls, repetition: int, sigma: float, raced: bool) -> "Work":
        generator = np.random.default_rng([SEED, repetition, round(10 * sigma)])
        costs = np.exp(sigma * generator.standard_normal(TRIALS))
        seconds = costs * np.exp(UNKNOWN * generator.standard_normal(TRIALS))
        if not raced:
            return cls(raced, costs, seconds, [SUBJECTS] * TRIALS)
        tables = [Table.draw(1000 * repetition + part, SPREAD["a search's"]) for part in range(TRIALS // 60)]
        return cls(raced, costs, seconds, [kept for table in tables for kept in race(table, 8, P, FIRST).kept])

    def blocks(self, number: int) -> list[int]:
        """Subjects after which the blocks end that are trained."""
        last = next(i for i, end in enumerate(ENDS) if end >= self.kept[number])
        return ENDS[: last + 1]

    def least(self, number: int, done: int) -> float:
        """The least cost that a trial ends with when so many subjects have not stopped it."""
        return float(self.costs[number] * (max(FIRST, done + 1) if self.raced else SUBJECTS))

    @property
    def total(self) -> float:
        """Seconds of one worker."""
        return float(sum(self.seconds[n] * self.blocks(n)[-1] for n in range(TRIALS)))


def makespan(work: Work, workers: int, rule: Rule) -> float:
    """Seconds until the last trial has ended. A worker that is free waits until the rule lets a trial begin."""
    queue: list[tuple[float, int, int]] = []  # when a block ends: time, trial, subjects done by then
    idle, begun, now, finished = workers, 0, 0.0, set[int]()
    while begun < TRIALS or queue:
        while idle and begun < TRIALS and _may_begin(rule):
            rule.begin(begun, work.least(begun, 0))
            for end in work.blocks(begun):
                heapq.heappush(queue, (now + work.seconds[begun] * end, begun, end))
            begun, idle = begun + 1, idle - 1
        now, number, end = heapq.heappop(queue)
        if end < work.kept[number]:
            rule.progress(number, work.least(number, end))
        elif number not in finished:
            finished.add(number)
            rule.finish(number, work.kept[number] * work.costs[number])
        idle += end == work.blocks(number)[-1]
    return now


def _may_begin(rule: Rule) -> bool:
    try:
        while rule.next_end() is not None:
            pass
    except Wait:
        return False
    return True


def busy(sigma: float, raced: bool, workers: int, repetitions: int) -> dict[str, tuple[float, float]]:
    """Mean share of the workers' time in use by each rule, and relative to asking freely."""
    shares: dict[str, list[float]] = {"freely": [], "virtual clock": [], "fixed lag": []}
    for repetition in range(repetitions):
        work = Work.draw(repetition, sigma, raced)
        rules: Sequence[Rule] = (Freely(), VirtualClock(2 * workers), FixedLag(2 * workers))
        for name, rule in zip(shares, rules, strict=True):
            shares[name].append(work.total / workers / makespan(work, workers, rule))
    free = np.array(shares["freely"])
    return {name: (float(np.mean(own)), float(np.mean(own / free))) for name, own in shares.items()}


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    print(f"{TRIALS} trials, {repetitions} repetitions, seed {SEED}; busy (relative to asking freely)")
    print(
        f"{'sigma':>5} {'race':>5} {'workers':>7}  {'freely':>6}  {'virtual clock':>15}  {'fixed lag':>15}", flush=True
    )
    for sigma in SIGMAS:
        for raced in (False, True):
            for workers in WORKERS:
                found = busy(sigma, raced, workers, repetitions)
                shown = "  ".join(f"{found[n][0]:6.1%} ({found[n][1]:6.1%})" for n in ("virtual clock", "fixed lag"))
                print(f"{sigma:5} {raced!s:>5} {workers:7}  {found['freely'][0]:6.1%}  {shown}", flush=True)


if __name__ == "__main__":
    main()
