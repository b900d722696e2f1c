"""The live display of a run: trials, folds, best score so far, time left, device time spent and saved."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from study.cli.terminal import Parts
from study.planning.cost_model import Work
from study.planning.remaining_work import Outlook
from study.planning.status import named

if TYPE_CHECKING:
    from study.trials.trial import Trial

log = logging.getLogger("losolab")
_LEAST_BUSY = 0.01


class Display:
    """Counts what becomes of a run and shows it. Quiet where the output is no terminal, but for a line at the end."""

    def __init__(self, console: Console, outlook: Outlook, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.outlook, self.clock = console, outlook, clock
        self.began = clock()
        self.training_began: float | None = None
        self.ended = self.failed = self.pruned = self.trained = self.reused = self.copied = 0
        self.never = 0  # folds of pruned trials that are never trained
        self.running: set[int] = set()
        self.slots = 1  # as many trials as ran at a time
        self.spent = self.saved = self.raced = 0.0  # seconds of device time; saved by reuse, and by the race
        self.best: tuple[float, str] | None = None  # the highest UF1, and of what
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self.console.print(Parts(self._counts() + self._times()))

    def saw(self, trial: "Trial", event: str, number: int, value: float | None = None) -> None:
        """An event of the scheduler: see `study.scheduling.scheduler.Watch`."""
        if event in ("trained", "reused", "copied"):
            setattr(self, event, getattr(self, event) + number)
            self.outlook.saw(trial, max(0, self.outlook.left(trial) - number))
        if event == "trained" and number and value is not None:
            self._trained(trial, number, value)
        elif event == "copied" and value is not None:
            self.saved += number * value
        elif event == "started":
            self.running.add(trial.number)
            self.slots = max(self.slots, len(self.running))
        elif event in ("complete", "failed", "pruned", "lost"):
            self._ended(trial, event, number, value)
        if event != "trained" and (number or event in ("started", "complete", "failed", "pruned", "lost")):
            log.info("trial %d (%s): %s", trial.number, trial.arm or trial.stage, _told(event, number, value))

    def knows(self, stage: str, trials: int) -> None:
        """A stage that follows from a search has so many trials."""
        self.outlook.knows(stage, trials)

    def time_left(self) -> float | None:
        """Seconds until all trials have ended, from their costs and how busy the devices were so far; None before."""
        if self.training_began is None:
            return None
        busy = self.spent / max(1e-9, (self.clock() - self.training_began) * self.slots)
        return self.outlook.time_left(self.slots, max(busy, _LEAST_BUSY))

    def text(self) -> str:
        """Both lines of the display as one."""
        return " · ".join(self._counts() + self._times())

    def _trained(self, trial: "Trial", number: int, seconds: float) -> None:
        self.outlook.costs.add(Work(trial.config, self.outlook.plan.size), seconds, number)
        self.spent += number * seconds
        if self.training_began is None:
            self.training_began = self.clock() - number * seconds

    def _ended(self, trial: "Trial", event: str, number: int, value: float | None) -> None:
        self.running.discard(trial.number)
        if event == "lost":
            return
        self.outlook.saw(trial, 0)
        self.ended += event == "complete"
        self.failed += event == "failed"
        self.pruned += event == "pruned"
        self.never += number
        self.raced += number * self.outlook.costs.seconds(Work(trial.config, self.outlook.plan.size))
        if event == "complete" and value is not None and trial.competes and (self.best is None or value > self.best[0]):
            self.best = value, f"{trial.stage}, {named(trial)}"

    def _render(self) -> Group:
        done = self.trained + self.reused + self.copied + self.never
        bar = ProgressBar(total=max(1, self.outlook.folds_of_all), completed=done, width=48)
        return Group(bar, Text(), Parts(self._counts()), Parts(self._times()))  # a bar does not end its line

    def _counts(self) -> list[str]:
        parts = [f"trials {self.ended + self.pruned}/{self.outlook.trials}"]
        for number, name in ((len(self.running), "running"), (self.failed, "failed"), (self.pruned, "pruned")):
            parts += [f"{number} {name}"] * bool(number)
        parts.append(f"folds {self.trained + self.reused + self.copied}/{self.outlook.folds_of_all}")
        parts += [f"{self.never} never trained"] * bool(self.never)
        parts += [f"{self.reused} from the ledger"] * bool(self.reused)
        return parts + [f"{self.copied} copied from other studies"] * bool(self.copied)

    def _times(self) -> list[str]:
        elapsed = self.clock() - self.began
        parts = [f"{60 * self.trained / max(elapsed, 1e-9):.0f} folds/min"] * bool(self.trained)
        parts += [] if self.best is None else [f"best uf1 {self.best[0]:.3f} ({self.best[1]})"]
        left = self.time_left() if self.running else None
        parts.append(duration(elapsed) if left is None else f"{duration(left)} left")
        parts += [f"{self.spent / 3600:.2f} device-hours spent"] * bool(self.spent)
        parts += [f"{self.raced / 3600:.2f} saved by the race"] * bool(self.raced)
        return parts + [f"{self.saved / 3600:.2f} saved by reuse"] * bool(self.saved)


def _told(event: str, number: int, value: float | None) -> str:
    """An event in words, for the log."""
    words = {"reused": "in the ledger", "pruned": "never trained: pruned"}
    folds = f"{number} folds {words.get(event, event)}"
    return folds if number else event if value is None else f"{event}, uf1 {value:.3f}"


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
