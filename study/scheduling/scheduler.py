"""The scheduler: which trial comes next, and what its results mean. Executors drive it; the ledger is its memory."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from itertools import groupby
from typing import Protocol

import numpy as np

from analysis.stats.confusion import count
from analysis.stats.metrics import uf1
from search_spaces.config import TrialConfig
from search_spaces.designs import Arm
from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.data.clips import Clips
from study.ledger.fold_reuse import Library
from study.ledger.writer import LEFT, LOST, Ledger, Outcome
from study.training.protocol import of_outer_fold
from study.trials.fold_identity import Arithmetic
from study.trials.network_sources import discovered
from study.trials.subject_order import Course
from study.trials.trial import Device, FoldResult, Trial, arithmetic_of, trial_keys

log = logging.getLogger("losolab")
_LOSSES = 3  # without a new fold between them: then the trial itself is what kills its process


class Source(Protocol):
    """Where a stage's trials come from."""

    def next(self) -> Trial | None:
        """The next trial that is not done, or None when there are no more; raises `study.search.virtual_clock.Wait`."""


class Watch(Protocol):
    """Sees what becomes of a run."""

    def saw(self, trial: Trial, event: str, number: int, value: float | None = None, /) -> None:
        """So many folds `reused`, `copied` or `trained`, in `value` seconds each where that is known;

        a trial `started`, or ended `complete` with UF1 `value`, `failed`, `lost`, or `pruned` with so many folds
        never trained.
        """

    def knows(self, stage: str, trials: int, /) -> None:
        """A stage that follows from a search has begun, and has so many trials."""


class _Unwatched:
    """Looks away."""

    def saw(self, trial: Trial, event: str, number: int, value: float | None = None, /) -> None:
        pass

    def knows(self, stage: str, trials: int, /) -> None:
        pass


UNWATCHED = _Unwatched()


class FixedDesign:
    """The trials of a fixed design: every seed of every arm, numbered in the plan's order, the longest given out first.

    `cost` is a fold's, in any unit.
    """

    def __init__(self, arms: Iterable[Arm], ledger: Ledger, cost: Callable[[TrialConfig], float]) -> None:
        self.arms, self.ledger, self.cost = arms, ledger, cost
        self.left = self._longest_first()

    def next(self) -> Trial | None:
        return next(self.left, None)

    def _longest_first(self) -> Iterator[Trial]:
        with self.ledger.transaction():
            trials = [
                self.ledger.propose(arm.stage, arm.name, arm.config, (seed,)) for arm in self.arms for seed in arm.seeds
            ]
        for trial in sorted(trials, key=lambda trial: -self.cost(trial.config)):
            outcome = self.ledger.outcome(trial.number)
            if outcome is None or outcome.state == "failed":
                yield trial


class Scheduler:
    """Hands out trials, writes down what comes back, and knows when a trial is complete."""

    def __init__(
        self,
        sources: Sequence[Source],
        ledger: Ledger,
        clips: Clips,
        watch: Watch,
        library: Library,
        *,
        retry_failed: bool = False,
    ) -> None:
        self.sources, self.ledger, self.clips, self.watch, self.library = sources, ledger, clips, watch, library
        self.retry_failed = retry_failed
        self.running: dict[int, tuple[Trial, int]] = {}  # by number: the trial and its attempt
        self.waiting: list[Trial] = []  # given out before, and back
        self.keys: dict[int, frozenset[str]] = {}  # of the trials given out, all their folds
        self.trained = 0
        self.failed: set[int] = set()  # trials, by number, in this run or before
        self._arithmetic: Callable[[Trial], Arithmetic] | None = None
        ledger.end_attempts()  # of a driver that was killed

    def take(self) -> Trial | None:
        """The next trial to run, None when all are given out; raises Wait when the next one is still open."""
        while (trial := self._next()) is not None:
            self.running[trial.number] = trial, self.ledger.attempt(trial.number)
            if trial.number not in self.keys:
                self._note_sources(trial)
                self.keys[trial.number] = frozenset(trial_keys(trial, self.clips))
                self.watch.saw(trial, "reused", len(self.ledger.done(trial)))
                self._copy(trial)
            if not self._settled(trial):
                self.watch.saw(trial, "started", 0)
                return trial
            self._watch_end(trial)
        return None

    def _note_sources(self, trial: Trial) -> None:
        """Write down what a network of the user's own is made of: a search may give it sizes that no plan names."""
        if found := discovered([trial.config], len(self.clips.classes)):
            self.ledger.add_sources({name: asdict(own) for name, own in found.items()})

    def _next(self) -> Trial | None:
        if self.waiting:
            return self.waiting.pop(0)
        return next((trial for source in self.sources if (trial := self._open(source)) is not None), None)

    def _open(self, source: Source) -> Trial | None:
        """A source's next trial, without those that failed in an earlier run unless they are to be tried again."""
        while (trial := source.next()) is not None:
            if self.retry_failed or self.ledger.outcome(trial.number) is None:
                return trial
            self._watch_end(trial)
        return None

    def trained_on(self, device: Callable[[], Device], resources: Resources) -> None:
        """Said by the executor before the first trial: how to learn what the trials train on (it may take seconds)."""
        known = cache(device)
        self._arithmetic = lambda trial: arithmetic_of(trial, known(), self.clips, resources)

    def _copy(self, trial: Trial) -> None:
        """Copy the folds of a trial that another study has and this one has not."""
        missing = [key for key in self.keys[trial.number] - set(self.ledger.done(trial)) if key in self.library]
        if not missing or self._arithmetic is None:
            return
        copies = list(self.library.copies(sorted(missing), None if self.ledger.mixed else self._arithmetic(trial)))
        with self.ledger.transaction():
            self.ledger.copy_folds(trial.number, copies)
        for origin, own in groupby(sorted(copies, key=lambda copy: copy.origin), lambda copy: copy.origin):
            seconds = [copy.fold.seconds for copy in own]
            log.info("trial %d: %d folds copied from %s", trial.number, len(seconds), origin)
            self.watch.saw(trial, "copied", len(seconds), sum(seconds) / len(seconds))

    def record(self, trial: Trial, folds: list[FoldResult]) -> None:
        """Write down a block, and the outcome that it causes, in one transaction.

        Raises UserError where a worker's folds have other keys than ours.
        """
        if {fold.key for fold in folds} - self.keys[trial.number]:
            network = trial.config.network
            raise UserError(
                f"network {network!r}: a worker has another source of it; install the same on every machine"
            )
        with self.ledger.transaction():
            self.ledger.add_folds(self.running[trial.number][1], folds)
            settled = self._settled(trial)
        self.trained += len(folds)
        self.watch.saw(trial, "trained", len(folds), sum(fold.seconds for fold in folds) / max(1, len(folds)))
        if settled:
            self._watch_end(trial)

    def fail(self, trial: Trial, why: str) -> None:
        """The trial raised: it would again, so it is not given out again in this run."""
        with self.ledger.transaction():
            self.ledger.end_attempt(self.running.pop(trial.number)[1], why)
            self.ledger.settle(trial.number, Outcome("failed", len(self.ledger.done(trial)), None, why))
        self._watch_end(trial)

    def lost(self, trial: Trial, said: str = "") -> None:
        """The trial's process died: give it out again, unless that happens time and again without a new fold.

        said: the last words of who saw it die.
        """
        if trial.number not in self.running:
            return  # its last block had come
        self.ledger.end_attempt(self.running[trial.number][1], LOST)
        if self.ledger.losses(trial.number) >= _LOSSES:
            why = f"{LOST} {_LOSSES} times without a new fold (out of memory? fewer --slots, or more memory a trial)"
            self.fail(trial, f"{why}: {said}" if said else why)
        else:
            self._put_back(trial)

    def returned(self, trial: Trial) -> None:
        """Ray could not start a process for this trial: requeue it without counting a failure."""
        self.ledger.end_attempt(self.running[trial.number][1], LEFT)
        self._put_back(trial)

    def put_back(self) -> None:
        """Ray died: requeue every running trial without counting a failure. Its finished folds are in the ledger."""
        self.ledger.end_attempts()
        for trial, _ in list(self.running.values()):
            self._put_back(trial)

    def _put_back(self, trial: Trial) -> None:
        del self.running[trial.number]
        self.waiting.append(trial)
        self.watch.saw(trial, "lost", 0)

    def _settled(self, trial: Trial) -> bool:
        """Whether a trial has come to its end; if so its outcome is written down."""
        outcome = self._pruned(trial) or self._complete(trial)
        if outcome is None:
            return False
        self.ledger.settle(trial.number, outcome)
        self.ledger.end_attempt(self.running.pop(trial.number)[1])
        return True

    def _pruned(self, trial: Trial) -> Outcome | None:
        """That it lost its race, by the folds of its whole blocks; the trial itself stops after the same block."""
        if trial.opponent is None:
            return None
        course = Course.of(self.clips, trial.config.protocol, trial.parts)
        stop = course.stop(trial.opponent, trial.seeds, self.ledger.predictions(trial))
        return None if stop is None else Outcome("pruned", stop.parts * len(trial.seeds), stop.imputed)

    def _complete(self, trial: Trial) -> Outcome | None:
        """That all its folds are there."""
        if self.keys[trial.number] - set(self.ledger.done(trial)):
            return None
        rows: dict[int, list[list[object]]] = {seed: [] for seed in trial.seeds}
        for (seed, held_out), own in self.ledger.predictions(trial).items():
            if of_outer_fold(held_out) is None:
                rows[seed] += json.loads(own)
        value = float(np.mean([self._uf1(own) for own in rows.values()]))
        return Outcome("complete", len(self.keys[trial.number]), value)

    def _watch_end(self, trial: Trial) -> None:
        outcome = self.ledger.outcome(trial.number)
        assert outcome is not None
        if outcome.state == "failed":
            self.failed.add(trial.number)
        if outcome.state == "pruned":
            self.watch.saw(trial, "pruned", len(self.keys[trial.number]) - len(self.ledger.done(trial)))
        else:
            self.watch.saw(trial, outcome.state, 0, outcome.value)

    def _uf1(self, rows: list[list[object]]) -> float:
        y_true, y_pred = [str(row[1]) for row in rows], [str(row[2]) for row in rows]
        return float(uf1(count(y_true=y_true, y_pred=y_pred, classes=self.clips.classes)))
