"""What is said while clips are made ready: rendered, read and decoded, before anything is trained."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from study.data.cache import build

SECONDS = 10.0  # between two lines where there is no bar


class Preparing:
    """A bar on a terminal; elsewhere a line as each part begins, and one now and then."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock, self.said = console, clock, clock()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)

    def __enter__(self) -> "Preparing":
        self.bar.start()
        self.shown = self.bar.add_task("", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def begin(self, doing: str) -> build.Progress:
        """A part begins, e.g. `decoding`; what it returns is told how many of all clips are done."""
        self.bar.reset(self.shown, description=f"{doing} clips", total=None)

        def progress(done: int, total: int) -> None:
            self.bar.update(self.shown, completed=done, total=total)
            if not self.console.is_terminal and (done == 0 or self.clock() - self.said >= SECONDS):
                self.said = self.clock()
                self.console.print(f"{doing} {f'{done} of ' if done else ''}{total} clips")

        return progress
