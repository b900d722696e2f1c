"""The serial executor, and what every executor is. Ray Tune's is in ray_executor.py."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.data.clips import Clips
from study.scheduling.scheduler import Scheduler
from study.system.interrupts import Stop
from study.trials.trial import BrokenProcess, Done, FoldResult, Trial, device_here, prepare_process, run_trial

TrialFunction = Callable[[Trial, Clips, Mapping[str, Done], Resources], Iterator[list[FoldResult]]]


class Executor(Protocol):
    """Runs an scheduler's trials to their end, and returns when the scheduler has no more.

    Raises UserError when the ledger refuses a block, KeyboardInterrupt when the user stopped the study.
    """

    def __call__(self, scheduler: Scheduler, clips: Clips, resources: Resources) -> None: ...


def serial(scheduler: Scheduler, clips: Clips, resources: Resources, run: TrialFunction = run_trial) -> None:
    """All trials in this process, one after another."""
    import torch

    resources = resources.where(torch.cuda.is_available())
    prepare_process(resources)
    scheduler.trained_on(lambda: device_here(resources), resources)
    with Stop() as stop:
        while (trial := scheduler.take()) is not None:
            try:
                for folds in run(trial, clips, scheduler.ledger.done(trial), resources):
                    scheduler.record(trial, folds)
                    stop.check()
            except UserError:
                raise
            except BrokenProcess as error:
                raise UserError(f"{error}; this process can use its GPU no more: the same command goes on") from error
            except Exception:
                scheduler.fail(trial, traceback.format_exc())
                stop.check()
