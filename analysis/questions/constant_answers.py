"""Networks that have learned nothing: one answer for (nearly) all clips, beside the score of always giving it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.stats.confusion import Counts
from analysis.stats.metrics import Floats
from analysis.stats.scores import Score

MOST = 0.95  # share of the clips that one prediction may have; of data with fewer of other classes, half of these


@dataclass(frozen=True, eq=False)
class Constant:
    """The commonest class as the answer for every clip, and its score."""

    label: str
    score: Score

    @classmethod
    def of(cls, counts: Counts, classes: Sequence[str]) -> "Constant":
        """From the confusions [N, S, K, K] of any configuration of these clips."""
        truth = counts[:, :1].sum(-1)  # [N, 1, K]
        commonest = int(truth.sum((0, 1)).argmax())
        answered = np.zeros((*truth.shape, len(classes)), np.int64)
        answered[..., commonest] = truth
        return cls(classes[commonest], Score.of(answered))


@dataclass(frozen=True)
class OneAnswer:
    """A configuration that gives one answer only: which, for which share of the clips, and in how many of its seeds."""

    label: str
    share: float
    seeds: int
    of: int

    @property
    def always(self) -> bool:
        return self.seeds == self.of

    def __str__(self) -> str:
        """`predicts negative for 100 % of the clips, in 1 of 3 seeds`."""
        where = "" if self.always else f", in {self.seeds} of {self.of} seeds"
        return f"predicts {self.label} for {_percent(self.share)} of the clips{where}"


def one_answer(score: Score, classes: Sequence[str]) -> OneAnswer | None:
    """What a configuration answers that learned nothing in some seed; None for any other."""
    pooled = score.counts.sum(0)  # [S, K, K]
    same = learned_nothing(pooled)
    if not same.any():
        return None
    predicted = pooled[same].sum((0, 1))
    commonest = int(predicted.argmax())
    share = float(predicted[commonest] / predicted.sum())
    return OneAnswer(classes[commonest], share, int(same.sum()), len(same))


def learned_nothing(pooled: Counts) -> npt.NDArray[np.bool_]:
    """Whether runs answer one class for nearly all clips, and more often than it occurs. pooled: [R, K, K]."""
    predicted, clips = pooled.sum(1), pooled.sum((1, 2))
    commonest = predicted.argmax(1)[:, None]
    share, truth = (_share(of, commonest, clips) for of in (predicted, pooled.sum(2)))
    return share >= np.maximum(MOST, (1 + truth) / 2)


def _share(of: Counts, at: Counts, clips: Counts) -> Floats:
    return np.asarray(np.take_along_axis(of, at, 1)[:, 0] / clips, np.float64)


def _percent(share: float) -> str:
    """100 % is all of them and nothing less."""
    return "all" if share == 1 else f"{min(99.9, 100 * share):.3g} %"
