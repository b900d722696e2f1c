"""The Ray Tune executor: trials in warm processes, on this machine or on a cluster."""

import os

os.environ |= {  # read when ray is imported
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

import logging
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune import TuneError
from ray.tune.search import Searcher

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study import cluster
from study.clock import Wait
from study.data.clips import Clips
from study.identity import Arithmetic
from study.memory import release_memory
from study.trials import Device, FoldResult, Trial, device_here, prepare_process, run_trial

if TYPE_CHECKING:  # workers import this module and need neither pandas nor optuna
    from study.agenda import Agenda

_VAIN = 3
BLOCK_SECONDS = 0.5  # Tune costs a slot 13 ms between blocks, so a block holds groups until this much time has passed


@dataclass(frozen=True)
class RayTune:
    """Runs at most `slots` trials at a time (None: as many as the resources hold) on the cluster at `address`.

    Without an address it starts a Ray of its own on this machine.
    """

    slots: int | None = None
    address: str | None = None

    def __call__(self, agenda: "Agenda", clips: Clips, resources: Resources) -> None:
        """Raises UserError when the ledger refuses a block, KeyboardInterrupt when the user stopped the study."""
        self._start(resources, clips)
        try:
            resources = resources.where("GPU" in ray.cluster_resources())
            if self.address:
                cluster.refuse_unfit(cluster.members(), clips, resources, mixed=agenda.ledger.mixed)
            slots = min(_slots(resources), self.slots or sys.maxsize)
            agenda.trained_on(lambda: _device(resources), resources)
            os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
            with tempfile.TemporaryDirectory(prefix="losolab-") as scratch:  # four small files that Tune insists on
                _fit(agenda, clips, resources, slots, scratch)
        finally:
            ray.shutdown()

    def _start(self, resources: Resources, clips: Clips) -> None:
        if self.address:
            cluster.join(self.address)
        else:
            cpus, store = self.slots and max(1, round(self.slots * resources.cpu)), cluster.store_for(clips)
            ray.init("local", num_cpus=cpus, object_store_memory=store, include_dashboard=False, **cluster.QUIET)
        for name in ("ray.tune", "ray.air", "ray.train"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _fit(agenda: "Agenda", clips: Clips, resources: Resources, slots: int, scratch: str) -> None:
    trainable = tune.with_resources(
        tune.with_parameters(LosoTrial, clips=clips, resources=resources),
        {"cpu": resources.cpu, "gpu": resources.gpu, "memory": resources.host_memory},
    )
    for name in (signal.SIGTERM, signal.SIGHUP):  # Tune ends a run cleanly on SIGUSR1
        signal.signal(name, lambda *_: signal.raise_signal(signal.SIGUSR1))
    vain = 0  # times that Ray ended the run without a new fold
    while vain < _VAIN:
        proposals, recorder, trained = Proposals(agenda, slots), Recorder(agenda), agenda.trained
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=proposals, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[recorder],
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except (RuntimeError, TuneError):
            if recorder.refused:
                raise recorder.refused from None
            if not proposals.running:
                raise
            # Ray's memory monitor killed a process, which ends `fit`: go on with what was running.
            vain = vain + 1 if agenda.trained == trained else 0
            for trial in proposals.running.values():
                agenda.put_back(trial)
        else:
            if not proposals.finished:  # Tune returns normally from a Ctrl-C
                raise KeyboardInterrupt
            return
    raise UserError(
        f"Ray ended the run {_VAIN} times without a new fold, most likely for want of memory; try fewer --slots"
    )


@dataclass(frozen=True)
class Task:
    """What a worker is given: a trial, and the folds of it that the ledger has."""

    trial: Trial
    done: Mapping[str, Arithmetic | None] = field(repr=False)


class LosoTrial(tune.Trainable):
    """One step is one block. The process, and torch in it, stay warm between trials."""

    def setup(self, config: dict[str, Any], *, clips: Clips, resources: Resources) -> None:
        prepare_process(resources)
        self.clips, self.resources = clips, resources
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        release_memory()
        task: Task = new_config["task"]
        self.groups: Iterator[list[FoldResult]] = run_trial(task.trial, self.clips, task.done, self.resources)
        return True

    def step(self) -> dict[str, Any]:
        folds: list[FoldResult] = []
        began = time.perf_counter()
        try:
            for group in self.groups:
                folds += group
                if time.perf_counter() - began >= BLOCK_SECONDS:
                    return {"folds": folds, "done": False}
        except UserError as refused:
            return {"folds": folds, "done": True, "refused": refused.problems}
        except Exception:
            return {"folds": folds, "done": True, "failed": traceback.format_exc()}
        return {"folds": folds, "done": True}


class Recorder(tune.Callback):
    """The ledger's one writer: called in the driver once for every block, before the trial's next step begins."""

    def __init__(self, agenda: "Agenda") -> None:
        self.agenda = agenda
        self.refused: UserError | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks; the ledger's connection stays here

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        own: Trial = trial.config["task"].trial
        try:
            if folds := result.pop("folds"):
                self.agenda.record(own, folds)
            if "refused" in result:
                raise UserError(result["refused"])
        except UserError as refused:
            self.refused = refused
            raise
        if "failed" in result:
            self.agenda.fail(own, result["failed"])


class Proposals(Searcher):
    """The agenda as Tune's searcher. A trial whose process died is given out again by the agenda, not by Tune."""

    def __init__(self, agenda: "Agenda", slots: int) -> None:
        super().__init__(metric="done", mode="max")
        self.agenda, self.slots = agenda, slots
        self.running: dict[str, Trial] = {}  # by Tune's id
        self.finished = False

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher too

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.running) >= self.slots:
            return None  # Tune asks again after its next event
        try:
            trial = self.agenda.take()
        except Wait:
            return None
        if trial is None:
            self.finished = not self.running  # a running one may be lost and come again
            return Searcher.FINISHED if self.finished else None
        self.running[trial_id] = trial
        return {"task": Task(trial, self.agenda.ledger.done(trial))}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial = self.running.pop(trial_id)
        if error:
            self.agenda.lost(trial)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""


def _device(resources: Resources) -> Device:
    """What the trials will train on, asked of one of the cluster's processes."""
    asked = ray.remote(num_cpus=resources.cpu, num_gpus=resources.gpu or 0)(device_here).remote(resources)
    found: Device = ray.get(asked)
    return found


def _slots(resources: Resources) -> int:
    """Trials that fit on the cluster at a time. Raises UserError when no machine holds one."""
    need = {"CPU": resources.cpu, "GPU": resources.gpu or 0, "memory": resources.host_memory}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    slots = sum(min(int(have.get(name, 0) / amount) for name, amount in need.items() if amount) for have in machines)
    if slots < 1:
        most = {name: max((have.get(name, 0) for have in machines), default=0) for name in need}
        short = [f"{name} {most[name]:g} of {need[name]:g}" for name in need if most[name] < need[name]]
        raise UserError(f"resources: no machine holds one trial ({', '.join(short) or 'not all of it'}); ask for less")
    return slots
