"""The virtual clock: which results a proposal of a search may know, whatever the number of workers."""


class Wait(Exception):
    """The next proposal must wait: the trial that finishes first in virtual time is not finished in reality."""


class VirtualClock:
    """Which trials a proposal may know, decided by computed cost and not by the wall clock.

    Trials run on `slots` virtual slots; a fold lasts its multiply-adds there. A proposal is made when a virtual slot
    falls free and knows exactly the trials that have ended by then in virtual time. What a trial will cost at least
    is known before it ends: all of its folds, or those until its race is looked at next. So the driver waits only
    for the result that comes next, or for a look that may come before it (benchmarks/utilisation.py).
    """

    def __init__(self, slots: int) -> None:
        self.slots, self.now = slots, 0.0
        # Of the trials that are not told: virtual start, the least cost that they may end with, virtual end.
        self.start: dict[int, float] = {}
        self.least: dict[int, float] = {}
        self.end: dict[int, float] = {}

    def begin(self, number: int, least: float = 0.0) -> None:
        self.start[number], self.least[number] = self.now, least

    def progress(self, number: int, least: float) -> None:
        self.least[number] = least

    def finish(self, number: int, cost: float) -> None:
        self.end[number] = self.start[number] + cost

    def next_end(self) -> int | None:
        """Number of the next trial to end, None if a slot is free; raises Wait while that is open."""
        if len(self.start) < self.slots:
            return None
        first = min(self.end, key=lambda n: (self.end[n], n), default=None)
        running = [n for n in self.start if n not in self.end]
        if first is None or any((self.start[n] + self.least[n], n) < (self.end[first], first) for n in running):
            raise Wait
        self.now = self.end[first]
        del self.start[first], self.least[first], self.end[first]
        return first
