"""Whether a control with shuffled labels has learned what it cannot have: then something leaks.

Its training labels have nothing to do with the clips, so that its UF1 is chance but for luck. The luck of one seed is
not between clips or subjects: each fold's labels are shuffled once, and a whole subject is answered by what was learned
from them. Between seeds all is drawn anew: the mean over seeds against their spread is a test that holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.stats.confusion import Counts
from analysis.stats.inference import TINY
from analysis.stats.metrics import expected, uf1

SEEDS = 5  # the fewest that decide
P = 0.025  # one-sided


@dataclass(frozen=True)
class Shuffled:
    """UF1 of each seed and what chance would give its predictions. p: one-sided; None with too few seeds to tell."""

    uf1: tuple[float, ...]
    chance: tuple[float, ...]
    p: float | None

    @classmethod
    def of(cls, counts: Counts, datasets: Sequence[str]) -> "Shuffled":
        """From confusions [N subjects, S, K, K] and each subject's dataset, whose clips exchange their labels."""
        by_dataset = [counts[[i for i, own in enumerate(datasets) if own == name]].sum(0) for name in {*datasets}]
        scores, chance = uf1(counts.sum(0)), uf1(expected(np.stack(by_dataset)).sum(0))
        return cls(tuple(scores.tolist()), tuple(chance.tolist()), _p(scores - chance))

    @property
    def leaks(self) -> bool:
        return self.p is not None and self.p <= P

    @property
    def verdict(self) -> str:
        """A word for the table."""
        if self.p is None:
            return f"undecided: fewer than {SEEDS} seeds"
        return "ABOVE CHANCE" if self.leaks else "not above chance"

    def __str__(self) -> str:
        """`UF1 less chance by seed +0.010, -0.004, ...: mean +0.002, p 0.31`."""
        differences = np.subtract(self.uf1, self.chance)
        each = ", ".join(f"{value:+.3f}" for value in differences)
        told = "" if self.p is None else f", p {self.p:.3f}"
        return f"UF1 less chance by seed {each}: mean {differences.mean():+.3f}{told}".replace("-", "−")


def _p(above: np.typing.NDArray[np.float64]) -> float | None:
    """Of the mean of these against their spread, by t."""
    from scipy.special import stdtr

    if len(above) < SEEDS:
        return None
    mean, error = float(above.mean()), float(above.std(ddof=1) / np.sqrt(len(above)))
    if error < TINY:
        return 0.0 if mean > TINY else 1.0
    return float(stdtr(len(above) - 1, -mean / error))
