"""The virtual clock: which results a proposal of a search may know, whatever the number of workers."""


class Wait(Exception):
    """Which trial ends next in virtual time is not decided by the folds done so far."""


class VirtualClock:
    """Which trials a proposal may know, decided by computed cost and not by the wall clock.

    Trials run on `slots` virtual slots; a fold lasts its multiply-adds there. A proposal is made when a virtual slot
    falls free and knows exactly the trials that have ended by then in virtual time.
    """

    def __init__(self, slots: int) -> None:
        self.slots, self.now = slots, 0.0
        # Of the trials that are not told: virtual start, cost of the folds done so far, virtual end.
        self.start: dict[int, float] = {}
        self.done: dict[int, float] = {}
        self.end: dict[int, float] = {}

    def begin(self, number: int) -> None:
        self.start[number], self.done[number] = self.now, 0.0

    def progress(self, number: int, cost: float) -> None:
        self.done[number] = cost

    def finish(self, number: int, cost: float) -> None:
        self.end[number] = self.start[number] + cost

    def next_end(self) -> int | None:
        """Number of the next trial to end, None if a slot is free; raises Wait while the folds done leave it open."""
        if len(self.start) < self.slots:
            return None
        first = min(self.end, key=lambda n: (self.end[n], n), default=None)
        running = [n for n in self.start if n not in self.end]
        if first is None or any((self.start[n] + self.done[n], n) < (self.end[first], first) for n in running):
            raise Wait
        self.now = self.end[first]
        del self.start[first], self.done[first], self.end[first]
        return first
