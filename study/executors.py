"""The serial executor, and what every executor is. Ray Tune's is in tune.py; both run the same `run_trial`."""

import traceback
from typing import Protocol

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.agenda import Agenda
from study.data.clips import Clips
from study.trials import device_here, prepare_process, run_trial


class Executor(Protocol):
    """Runs an agenda's trials to their end, and returns when the agenda has no more."""

    def __call__(self, agenda: Agenda, clips: Clips, resources: Resources) -> None: ...


def serial(agenda: Agenda, clips: Clips, resources: Resources) -> None:
    """All trials in this process, one after another."""
    import torch

    resources = resources.where(torch.cuda.is_available())
    prepare_process(resources)
    agenda.trained_on(lambda: device_here(resources), resources)
    while (trial := agenda.take()) is not None:
        try:
            for folds in run_trial(trial, clips, agenda.ledger.done(trial), resources):
                agenda.record(trial, folds)
        except UserError:
            raise
        except Exception:
            agenda.fail(trial, traceback.format_exc())
