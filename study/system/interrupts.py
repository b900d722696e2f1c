"""Ctrl-C, SIGTERM and SIGHUP: once ends a study after the running blocks, twice at once."""

import signal
import sys
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say() -> None:
    print("\nstopping after the running blocks; once more stops at once", file=sys.stderr, flush=True)


class Stop:
    """While it is entered, the first signal calls `on_ask` and sets `asked`; the next raises KeyboardInterrupt."""

    def __init__(self, on_ask: Callable[[], None] = say) -> None:
        self.on_ask, self.asked = on_ask, False

    def __enter__(self) -> "Stop":
        own = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup stays nohup
        self.before = {number: signal.signal(number, self._ask) for number in own}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises KeyboardInterrupt when the user asked to stop: call it where a block has ended."""
        if self.asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.check()
        self.asked = True
        self.on_ask()
