"""One live line: trials, folds, best score so far, and time left."""

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

if TYPE_CHECKING:
    from study.trials import Trial


class LiveLine:
    """Counts what the agenda reports and shows it. Quiet where the output is no terminal, but for a line at the end."""

    def __init__(self, console: Console, trials: int, folds: int) -> None:
        self.console, self.trials, self.folds = console, trials, folds
        self.began = time.monotonic()
        self.ended = self.failed = self.trained = self.reused = 0
        self.running: set[int] = set()
        self.best: float | None = None
        columns = (BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self.task = self.bar.add_task("starting", total=folds)

    def __enter__(self) -> "LiveLine":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        self.console.print(self.text(), highlight=False)

    def saw(self, trial: "Trial", event: str, number: int, value: float | None = None) -> None:
        """An event of the agenda: see `study.agenda.Watch`."""
        if event == "trained":
            self.trained += number
        elif event in ("reused", "copied"):
            self.reused += number
        elif event == "started":
            self.running.add(trial.number)
        else:
            self.running.discard(trial.number)
            self.ended += event == "complete"
            self.failed += event == "failed"
        if event == "complete" and value is not None:
            self.best = value if self.best is None else max(self.best, value)
        self.bar.update(self.task, completed=self.trained + self.reused, description=self.text())

    def text(self) -> str:
        done = self.trained + self.reused
        parts = [f"trials {self.ended}/{self.trials}"]
        parts += [f"{len(self.running)} running"] * bool(self.running) + [f"{self.failed} failed"] * bool(self.failed)
        parts.append(f"folds {done}/{self.folds}")
        parts += [f"{self.reused} from the ledger"] * bool(self.reused)
        parts += [] if self.best is None else [f"best uf1 {self.best:.3f}"]
        if self.trained and done < self.folds:
            left = (time.monotonic() - self.began) / self.trained * (self.folds - done)
            parts.append(f"{duration(left)} left")
        else:
            parts.append(duration(time.monotonic() - self.began))
        return " · ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
