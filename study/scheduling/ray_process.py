"""The process in which Ray Tune runs: `python -m study.scheduling.ray_process FD`, started by ray_executor.py.

It asks for trials through the connection at FD, and sends there each block that comes back.
"""

import os

os.environ |= {  # read when ray is imported
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # `Proposals` bounds them by the slots that there are
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.cluster.nodes import members, refuse_unfit, store_for
from study.cluster.ray_session import QUIET, join
from study.data.clips import Clips
from study.scheduling import messages
from study.scheduling.ray_executor import RayTune
from study.system.interrupts import Stop
from study.trials.network_sources import adopt
from study.trials.trial import BrokenProcess, Device, FoldResult, Trial, device_here, prepare_process

_MAX_FAILED_STARTS = 3  # give up on this Ray after so many processes in a row that did not begin
_FRESH = 1.0  # seconds for which a count of the cluster's slots is good


def main(connection: Connection) -> None:
    # To count what is used of it Ray imports every tracker that it knows: 2 CPU-seconds and 160 MB.
    sys.modules["mlflow"] = None  # type: ignore[assignment]
    with Stop(lambda: None) as stop:
        threading.Thread(target=_end_with_the_driver, args=(stop,), daemon=True).start()
        try:
            _run(connection, stop)
        except UserError as refused:
            connection.send(messages.Refused(refused.problems))
        else:
            connection.send(messages.Ended())


def _end_with_the_driver(stop: Stop) -> None:
    """Standard input closes when the driver has ended or was killed."""
    sys.stdin.read()
    stop.asked = True  # so that one signal stops at once
    os.kill(os.getpid(), signal.SIGINT)


def _run(connection: Connection, stop: Stop) -> None:
    executor, resources, mixed = connection.recv()  # cloudpickle's pickles are pickles
    connection.send(messages.WantsClips())
    clips = connection.recv()
    try:
        _start(executor, resources, clips)
        resources = resources.where("GPU" in ray.cluster_resources())
        if executor.address:
            refuse_unfit(members(), clips, resources, mixed=mixed)
        slots = Slots(resources, executor.slots)
        slots.require()
        trainable = _trainable(executor, clips, resources)
        del clips  # Ray's object store has them now
        connection.send(messages.TrainsOn(resources))
        with tempfile.TemporaryDirectory(prefix="losolab-") as scratch:  # four small files that Tune insists on
            _fit(trainable, SchedulerAsSearcher(connection, slots, resources), scratch, stop)
    finally:
        ray.shutdown()


def _start(executor: RayTune, resources: Resources, clips: Clips) -> None:
    if executor.address:
        join(executor.address, executor.modules)
    else:
        cpus = executor.slots and ceil(executor.slots * resources.cpu)
        store = store_for(clips)
        ray.init("local", num_cpus=cpus, object_store_memory=store, include_dashboard=False, **QUIET)


def _trainable(executor: RayTune, clips: Clips, resources: Resources) -> Any:
    return tune.with_resources(
        tune.with_parameters(LosoTrial, clips=clips, resources=resources, executor=executor),
        {name.lower() if name in ("CPU", "GPU") else name: amount for name, amount in resources.needs.items()},
    )


def _fit(trainable: Any, proposals: "SchedulerAsSearcher", scratch: str, stop: Stop) -> None:
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(search_alg=proposals, num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=scratch,
            verbose=0,
            stop=lambda trial_id, result: stop.asked,
            callbacks=[Recorder(proposals.connection)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    except Exception as ended:
        if _for_memory(ended):  # Ray's monitor killed one of the processes, which ends `fit` and tells not which
            for trial in proposals.running.values():
                proposals.connection.send(messages.Lost(trial))
        raise


def _for_memory(error: BaseException | None) -> bool:
    return error is not None and (
        isinstance(error, ray.exceptions.OutOfMemoryError) or _for_memory(error.__cause__ or error.__context__)
    )


class LosoTrial(tune.Trainable):
    """One step is one block. The process, and torch in it, stay warm between trials."""

    def setup(self, config: dict[str, Any], *, clips: Clips, resources: Resources, executor: RayTune) -> None:
        prepare_process(resources)
        self.clips, self.resources, self.executor = clips, resources, executor
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        task: messages.Task = new_config["task"]
        self.sources = task.sources
        self.groups: Iterator[list[FoldResult]] = self.executor.run(task.trial, self.clips, task.done, self.resources)
        return True

    def step(self) -> dict[str, Any]:
        folds: list[FoldResult] = []
        began = time.perf_counter()
        try:
            adopt(self.sources)
            for group in self.groups:
                folds += group
                if time.perf_counter() - began >= self.executor.block_seconds:
                    return {"folds": folds, "done": False}
        except UserError as refused:
            return {"folds": folds, "done": True, "refused": refused.problems}
        except BrokenProcess:
            raise  # Tune ends this process, and another is given the trial
        except Exception:
            return {"folds": folds, "done": True, "failed": traceback.format_exc()}
        return {"folds": folds, "done": True}


class Recorder(tune.Callback):
    """Called once for every block, before the trial's next step begins."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.began: set[str] = set()  # Tune's ids of trials whose process began
        self.refused = 0  # processes that did not begin, in a row

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.began.add(trial.trial_id)
        self.refused = 0

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        own: Trial = trial.config["task"].trial
        if folds := result.pop("folds"):
            self.connection.send(messages.Trained(own, folds))
        if "refused" in result:
            self.connection.send(messages.Refused(result["refused"]))
        if "failed" in result:
            self.connection.send(messages.Failed(own, result["failed"]))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Its process died or did not begin; Tune has told the searcher before."""
        file = Path(trial.local_path, "error.txt")
        said = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""
        print(said, flush=True)  # to ray.log
        own: Trial = trial.config["task"].trial
        if trial.trial_id in self.began:
            self.connection.send(messages.Lost(own, said.splitlines()[-1] if said else ""))
            return
        self.refused += 1  # not the trial's failure: Ray starts no process on a machine whose raylet is dead
        if self.refused >= _MAX_FAILED_STARTS:
            raise RuntimeError(f"Ray could not begin {_MAX_FAILED_STARTS} processes in a row")
        self.connection.send(messages.NotBegun(own))


class SchedulerAsSearcher(Searcher):
    """The driver's scheduler as Tune's searcher. A trial whose process died is given out again by it, not by Tune."""

    def __init__(self, connection: Connection, slots: "Slots", resources: Resources) -> None:
        super().__init__(metric="done", mode="max")
        self.connection, self.slots, self.resources = connection, slots, resources
        self.running: dict[str, Trial] = {}  # by Tune's id

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher too

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.running) >= self.slots.count():
            return None
        self.connection.send(messages.WantsTrial())
        while isinstance(answer := self.connection.recv(), messages.WhichDevice):
            self.connection.send(_device(self.resources))
        if isinstance(answer, messages.AllGivenOut) and not self.running:  # else a running one may be lost
            return Searcher.FINISHED
        if not isinstance(answer, messages.Task):
            return None  # Tune asks again after its next event
        self.running[trial_id] = answer.trial
        return {"task": answer}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        del self.running[trial_id]

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""


def _device(resources: Resources) -> Device:
    """What the trials will train on, asked of one of the cluster's processes."""
    given = {"num_cpus": resources.cpu, "num_gpus": resources.gpu or 0, "accelerator_type": resources.accelerator}
    asked = ray.remote(**given)(device_here).remote(resources)
    found: Device = ray.get(asked)
    return found


class Slots:
    """How many trials fit on the cluster at a time, at most `most`. Nodes come and go, but for this process's own."""

    def __init__(self, resources: Resources, most: int | None) -> None:
        self.resources = resources
        self.most = most or sys.maxsize
        self.home = ray.get_runtime_context().get_node_id()
        self.counted, self.known = -_FRESH, 0

    def count(self) -> int:
        """Raises RuntimeError when Ray is dead on this machine: what runs may go on, but nothing more would start."""
        if time.monotonic() - self.counted >= _FRESH:
            nodes = _nodes()
            if self.home not in nodes:
                raise RuntimeError("the raylet of this machine has died")
            self.known = min(self.most, sum(map(self.resources.slots, nodes.values())))
            self.counted = time.monotonic()
        return self.known

    def require(self) -> None:
        """Raises UserError when no machine holds one trial."""
        if self.count() < 1:
            machines = list(_nodes().values())
            need = self.resources.needs
            most = {name: max((have.get(name, 0) for have in machines), default=0) for name in need}
            short = [f"{name} {most[name]:g} of {need[name]:g}" for name in most if most[name] < need[name]]
            lacking = ", ".join(short) or "not all of it"
            raise UserError(f"resources: no machine holds one trial ({lacking}); ask for less")


def _nodes() -> dict[str, dict[str, float]]:
    """The resources of each living node, by its id."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


if __name__ == "__main__":
    from study.scheduling import ray_process  # by its own name: what Ray pickles, its workers import

    with suppress(BrokenPipeError, EOFError, KeyboardInterrupt):  # the driver has ended
        ray_process.main(Connection(int(sys.argv[1])))
