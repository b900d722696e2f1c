"""Score and cost of one configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.results.results import Trial
from analysis.stats import metrics
from analysis.stats.confusion import Counts
from analysis.stats.inference import Interval, interval


@dataclass(frozen=True, eq=False)
class Score:
    """Pooled metrics of one configuration, each the mean over its S seeds. counts: [N subjects, S, K, K].

    seed_sd: standard deviation of UF1 over seeds, None for one seed. macro_precision and precision are NaN where a
    class is never predicted. chance: UF1 expected of predictions that have nothing to do with the labels.
    """

    counts: Counts
    interval: Interval
    uf1: tuple[float, ...]
    seed_sd: float | None
    uar: float
    accuracy: float
    macro_precision: float
    f1: tuple[float, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    chance: float

    @classmethod
    def of(cls, counts: Counts) -> "Score":
        pooled = counts.sum(0)
        uf1 = metrics.uf1(pooled)
        return cls(
            counts=counts,
            interval=interval(counts),
            uf1=tuple(uf1.tolist()),
            seed_sd=float(uf1.std(ddof=1)) if len(uf1) > 1 else None,
            uar=float(metrics.uar(pooled).mean()),
            accuracy=float(metrics.accuracy(pooled).mean()),
            macro_precision=float(metrics.macro_precision(pooled).mean()),
            f1=tuple(metrics.f1(pooled).mean(0).tolist()),
            recall=tuple(metrics.recall(pooled).mean(0).tolist()),
            precision=tuple(metrics.precision(pooled).mean(0).tolist()),
            chance=float(metrics.chance(counts).mean()),
        )


@dataclass(frozen=True)
class Cost:
    """What a configuration costs; seconds are of one LOSO run (one seed). None where no trial told."""

    parameters: int | None
    multiply_adds: int | None
    seconds: float | None

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> "Cost":
        """Of the trials of one configuration, complete or not; only complete ones that were timed tell the time."""
        timed = [trial for trial in trials if trial.complete and trial.seconds is not None]
        runs = sum(len(trial.seeds) for trial in timed)
        return cls(
            parameters=next((t.parameters for t in trials if t.parameters is not None), None),
            multiply_adds=next((t.multiply_adds for t in trials if t.multiply_adds is not None), None),
            seconds=sum(trial.seconds or 0.0 for trial in timed) / runs if runs else None,
        )
