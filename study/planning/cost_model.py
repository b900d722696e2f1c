"""What a fold costs: by arithmetic, put right by the folds that this storage's ledgers have timed."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, exp, log
from pathlib import Path
from typing import Any

from search_spaces.config import CLASSICAL, TrialConfig, deciding
from search_spaces.errors import UserError
from search_spaces.protocols import protocol
from study.ledger.snapshot import timed
from study.models.sizes import known_size

# Of a training step of one fold on one thread of a 2.6 GHz server with AVX-512: multiply-adds a second, seconds
# besides, and seconds a parameter. Right within a factor of two elsewhere on CPUs; what was timed puts them right.
_RATE = 5e10
_STEP = 5e-4
_PARAMETER = 2e-9
# Of LBP-TOP on the same: points of circles a second, and seconds a weight of the SVM that a fold fits.
_COUNTED, _FITS = 2e8, 2e-4
_NEWS = 0.02  # when a class's mean moves by more than 2 %, estimates of similar classes are recomputed


@dataclass(frozen=True)
class Size:
    """How much data there is."""

    subjects: int
    clips: int
    classes: int
    datasets: int = 1

    def folds(self, config: TrialConfig) -> int:
        """How many a seed of a configuration has, by its protocol."""
        rule = protocol(config.protocol)
        inner = self.subjects * (1 + min(self.subjects - 1, int(rule.number)))
        most = {"loso": self.subjects, "leave_one_dataset_out": self.datasets, "holdout": 1, "nested_loso": inner}
        return most.get(rule.kind) or min(self.subjects, int(rule.number))


@dataclass(frozen=True)
class Work:
    """A fold of a configuration. Two of the same class cost the same."""

    config: TrialConfig
    size: Size

    @cached_property
    def key(self) -> tuple[tuple[str, Any], ...]:
        """The cost class: every factor that decides how long a fold takes, and the size of the data."""
        levels = ((name, getattr(self.config, name)) for name in deciding("time"))
        return *levels, *vars(self.size).items()

    @property
    def steps(self) -> int:
        """Of its training; none of a baseline that no gradient trains."""
        return (
            0
            if self.config.network in CLASSICAL
            else self.config.epochs * ceil(self.size.clips / self.config.batch_size)
        )


@cache
def computed(work: Work) -> float:
    """Seconds of a fold on one thread, by arithmetic alone."""
    network = known_size(work.config, work.size.classes)
    if network is None:  # the user's own, which is not at hand: `status` then goes by what its folds have taken
        return work.steps * _STEP
    config = work.config
    if config.network in CLASSICAL:  # features once for all folds; then a handful of small fits a fold
        counted = network.multiply_adds * work.size.clips / work.size.folds(config) / _COUNTED
        return _STEP + counted + _FITS * network.parameters
    passes = 3 * config.epochs + epochs_seen(config)  # backward takes twice the forward
    multiply_adds = passes * network.multiply_adds * work.size.clips
    return multiply_adds / _RATE + work.steps * (_STEP + _PARAMETER * network.parameters)


def epochs_seen(config: TrialConfig) -> int:
    """After how many epochs the network predicts, besides the last one's prediction of what is held out."""
    if config.checkpoint == "mean_of_last":
        return min(config.last_epochs, config.epochs)
    return config.epochs if config.checkpoint != "last" else 0


class Costs:
    """Seconds of folds: as timed where their class was, else as `expected` times the ratio that similar ones had.

    expected: by arithmetic; for a run by what was timed before it, on a machine that may have had less to do.
    """

    def __init__(self, timed: Iterable[tuple[Work, float]] = (), expected: Callable[[Work], float] = computed) -> None:
        self._expected = expected
        self._folds: Counter[tuple[Any, ...]] = Counter()
        self._seconds: dict[tuple[Any, ...], float] = defaultdict(float)  # of all folds of a class
        self._works: dict[tuple[Any, ...], Work] = {}
        self._ratios: dict[tuple[Any, ...], float] = {}  # of classes that were not timed
        for work, seconds in timed:
            self.add(work, seconds)

    def __bool__(self) -> bool:
        return bool(self._works)

    def add(self, work: Work, seconds: float, folds: int = 1) -> None:
        """Folds that took `seconds` each."""
        key = work.key
        before = self._mean(key) if key in self._works else 0.0
        self._works.setdefault(key, work)
        self._folds[key] += folds
        self._seconds[key] += folds * seconds
        if abs(self._mean(key) - before) > _NEWS * before:
            self._ratios.clear()

    def timed(self, work: Work) -> bool:
        return work.key in self._works

    def seconds(self, work: Work) -> float:
        """Of one fold."""
        if self.timed(work):
            return self._mean(work.key)
        if work.key not in self._ratios:
            self._ratios[work.key] = self._alike(work)
        return self._expected(work) * self._ratios[work.key]

    def _alike(self, work: Work) -> float:
        """Timed over expected: the geometric mean over the timed classes, the more alike ones weighing more."""
        if not self._works:
            return 1.0
        levels = dict(work.key)
        weighed, weights = 0.0, 0.0
        for key, other in self._works.items():
            different = sum(levels[name] != level for name, level in key)
            weight = exp(-different - abs(log(computed(work) / computed(other))))
            weighed += weight * log(self._mean(key) / self._expected(other))
            weights += weight
        return exp(weighed / weights)

    def _mean(self, key: tuple[Any, ...]) -> float:
        return self._seconds[key] / self._folds[key]


def makespan(seconds: Iterable[float], slots: int) -> float:
    """How long `slots` devices take for trials of so many seconds, the longest first."""
    busy = [0.0] * max(1, slots)
    for own in sorted(seconds, reverse=True):
        heapq.heapreplace(busy, busy[0] + own)
    return max(busy)


def timed_in(storage: Path, threads: int, on_gpu: bool) -> Costs:
    """What the ledgers of a storage have timed on a GPU, or on so many threads of a CPU."""
    costs = Costs()
    for folder in sorted(path.parent for path in storage.glob("*/ledger.sqlite")):
        try:
            _add_timed(costs, folder, threads, on_gpu)
        except (UserError, ValueError, TypeError, LookupError, AttributeError):
            continue  # of another version, half made or damaged: its own commands say so
    return costs


def _add_timed(costs: Costs, folder: Path, threads: int, on_gpu: bool) -> None:
    description, rows = timed(folder)
    for row in rows:
        size, made_by = size_of(description), row.arithmetic
        alike = (made_by.device != "cpu") == on_gpu and (on_gpu or made_by.threads == threads)
        if alike and known_size(row.config, size.classes):
            costs.add(Work(row.config, size), row.seconds, row.folds)


def size_of(description: dict[str, Any]) -> Size:
    """The size of a study's data, from what the ledger keeps of it for its readers."""
    subjects = {(dataset, subject) for _, dataset, subject, _ in description["clips"]}
    datasets = {dataset for dataset, _ in subjects}
    return Size(len(subjects), len(description["clips"]), len(description["classes"]), len(datasets))
