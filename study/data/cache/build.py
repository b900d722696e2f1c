"""Building the cache: clips decoded by all cores, each kept as soon as it is cut, so that a killed build goes on."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import TextIO

import numpy as np

from search_spaces.errors import UserError
from search_spaces.files import written_whole
from study.data.video.cropping import Wanted, cut_source
from study.system.file_locks import locked
from study.system.hardware import cores
from study.system.memory import tune_malloc

log = logging.getLogger("losolab")

BUILDING = ".building"  # in the cache's folder: the lock, and the parts of a build that has not ended
STOPPED = "stopped while decoding; what was decoded is kept: the same command goes on from there"
FRAMES_A_PROCESS = 1000  # it takes half a second to start one
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Progress = Callable[[int, int], None]  # clips done, clips in all


@dataclass(frozen=True)
class Task:
    """A source to decode once, its clips, the masters to cut, and for each clip and master the file to write."""

    source: Path
    clips: tuple[Wanted, ...]
    masters: tuple[str, ...]
    files: tuple[dict[str, Path], ...]

    @property
    def frames(self) -> int:
        return max(clip.last for clip in self.clips) + 1


def decode_all(tasks: Sequence[Task], progress: Progress, processes: int | None = None) -> None:
    """Decode what the tasks want and write it. Raises UserError with every bad clip, when all others are written.

    processes: as many as there are cores and work for where not given; one is this process.
    """
    if processes is None:
        processes = max(1, min(cores(), sum(task.frames for task in tasks) // FRAMES_A_PROCESS))
    total, done = sum(len(task.clips) for task in tasks), 0
    problems: dict[int, list[str]] = {}
    progress(0, total)
    for number, found in _in_processes(tasks, processes) if processes > 1 else enumerate(map(cut, tasks)):
        problems[number] = found
        done += len(tasks[number].clips)
        progress(done, total)
    if told := [problem for number in sorted(problems) for problem in problems[number]]:
        raise UserError(told)


def cut(task: Task) -> list[str]:
    """Write what can be written of a task; what is wrong with the rest."""
    problems = []
    for clip, files, found in zip(
        task.clips, task.files, cut_source(task.source, task.clips, task.masters), strict=True
    ):
        if isinstance(found, UserError):
            problems += [f"clip {clip.clip_id}: {problem}" for problem in found.problems]
            continue
        for master, pixels in found.items():
            with written_whole(files[master]) as draft, draft.open("wb") as stream:
                np.save(stream, pixels)
    return problems


def wait_for_lock(folder: Path) -> TextIO:
    """Hold the folder's lock until what is returned is closed: who builds in it at the same time waits here."""
    try:
        return locked(folder / "lock", wait=False)
    except BlockingIOError:
        log.warning("another process decodes into %s: waiting for it", folder.parent)
        return locked(folder / "lock")


def _in_processes(tasks: Sequence[Task], processes: int) -> Iterator[tuple[int, list[str]]]:
    """Number and problems of each task as it ends, the longest begun first."""
    with _one_thread_each(), ProcessPoolExecutor(processes, get_context("spawn"), _prepare) as pool:
        longest_first = sorted(range(len(tasks)), key=lambda number: -tasks[number].frames)
        numbers = {pool.submit(cut, tasks[number]): number for number in longest_first}
        try:
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():  # none but the pool's; a file of theirs is whole or not there
                process.terminate()
            raise


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started here compute on one thread: there is one for each core."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _prepare() -> None:
    """Prepare a process of the pool: it ignores Ctrl-C, and exits when its parent exits, even if that is killed."""
    tune_malloc()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
