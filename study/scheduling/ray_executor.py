"""The Ray Tune executor. Ray lives in a process of its own (ray_process.py), which asks this one for trials.

When Ray dies it takes the process that it lives in with it, without a word. Here that costs the blocks that were
running: this process holds the ledger, and starts Ray again.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.data.clips import Clips
from study.scheduling import messages
from study.search.virtual_clock import Wait
from study.system.hardware import ray_folder_problem
from study.system.interrupts import Stop, say
from study.trials.network_sources import discovered
from study.trials.trial import Device, run_trial

if TYPE_CHECKING:  # workers import this module and need neither pandas nor optuna
    from study.scheduling.scheduler import Scheduler
    from study.scheduling.serial_executor import TrialFunction

MAX_RAY_RESTARTS_WITHOUT_PROGRESS = 3
_PATIENCE = 15.0  # seconds that Ray has to end


@dataclass(frozen=True)
class RayTune:
    """Runs at most `slots` trials at a time (None: as many as the resources hold) on the cluster at `address`.

    Without an address it starts a Ray of its own on this machine. A block, the unit of report and restart, holds groups
    of folds until `block_seconds` have passed: between two blocks Tune costs a slot some milliseconds. `modules` are
    places of the user's own (study.system.dotted_path.place), which the nodes of a cluster are sent. Making one raises
    UserError where a Ray of its own would not start: before anything is decoded for it.
    """

    slots: int | None = None
    address: str | None = None
    block_seconds: float = 0.5
    run: "TrialFunction" = run_trial
    modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.address is None and (problem := ray_folder_problem()):
            raise UserError(problem)

    def __call__(self, scheduler: "Scheduler", clips: Clips, resources: Resources) -> None:
        """Raises UserError when the ledger refuses a block, KeyboardInterrupt when the user stopped the study."""
        log = scheduler.ledger.folder / "ray.log"
        without_progress = 0
        while without_progress < MAX_RAY_RESTARTS_WITHOUT_PROGRESS:
            progress = scheduler.trained + len(scheduler.failed)
            with _process(log) as (process, connection), Stop(lambda: _ask(process)) as stop:
                connection.send_bytes(cloudpickle.dumps((self, resources, scheduler.ledger.mixed)))
                ended = _serve(connection, scheduler, clips, stop)
            stop.check()
            if ended:
                return
            scheduler.put_back()
            without_progress = without_progress + 1 if scheduler.trained + len(scheduler.failed) == progress else 0
        raise UserError(
            f"Ray died {without_progress} times without a new fold: {_why(log)}. If it was for want of memory, give "
            "fewer --slots; the same command goes on from here"
        )


def _serve(connection: Connection, scheduler: "Scheduler", clips: Clips, stop: Stop) -> bool:
    """Do what Tune's process asks until it has ended; False when it died."""
    try:
        while not isinstance(message := connection.recv(), messages.Ended):
            match message:
                case messages.WantsClips():
                    connection.send(clips)
                case messages.TrainsOn(resources):
                    scheduler.trained_on(lambda: _device(connection), resources)
                case messages.WantsTrial():
                    connection.send(messages.AllGivenOut() if stop.asked else _next(scheduler))
                case messages.Refused(problems):
                    raise UserError(problems)
                case _:
                    _note(scheduler, message)
    except (EOFError, ConnectionError):
        return False
    return True


def _note(scheduler: "Scheduler", message: messages.News) -> None:
    """What became of a trial."""
    match message:
        case messages.Trained(trial, folds):
            scheduler.record(trial, folds)
        case messages.Failed(trial, why):
            scheduler.fail(trial, why)
        case messages.Lost(trial, last_words):
            scheduler.lost(trial, last_words)
        case messages.NotBegun(trial):
            scheduler.returned(trial)


def _next(scheduler: "Scheduler") -> messages.Answer:
    try:
        trial = scheduler.take()
    except Wait:
        return messages.NotYet()
    if trial is None:
        return messages.AllGivenOut()
    sources = discovered([trial.config], len(scheduler.clips.classes))
    return messages.Task(trial, scheduler.ledger.done(trial), sources)


def _device(connection: Connection) -> Device:
    """Asks what the workers train on, while Tune's process waits for a task."""
    connection.send(messages.WhichDevice())
    found: Device = connection.recv()
    return found


@contextmanager
def _process(log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Connection]]:
    """Tune's process, and what it speaks through. It ends with this one, and the Ray that it started with it."""
    ours, theirs = Pipe()
    path = os.pathsep.join(entry for entry in sys.path if entry)  # a user's own modules, for the workers as well
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "study.scheduling.ray_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for this process, which hands it on
        )
    theirs.close()
    try:
        with process:
            try:
                yield process, ours
            finally:
                _end(process)
    finally:
        ours.close()


def _ask(process: "subprocess.Popen[bytes]") -> None:
    """Hand a first Ctrl-C on."""
    say()
    process.send_signal(signal.SIGINT)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Its standard input closes, upon which it ends Ray and itself; or is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def _why(log: Path) -> str:
    """The last words of Ray's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return f"{next((line for line in reversed(lines) if line.strip()), 'it said nothing')} ({log})"
