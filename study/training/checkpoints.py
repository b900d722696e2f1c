"""Checkpoints: which epochs' networks predict a fold's held-out clips."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from study.training.protocol import Fold, Mask

Floats = npt.NDArray[np.float64]


def inner_clips(config: TrialConfig, subjects: npt.NDArray[np.str_], fold: Fold) -> Mask:
    """The training clips of a fold that validate and stay out of training, bool [N]; none but for inner_validation.

    They are those of whole training subjects, the first in the order of the streams (seed, held out, subject): the
    share that is asked for, at least one subject, and never all.
    """
    if config.checkpoint != "inner_validation":
        return np.zeros_like(fold.train)
    training = np.unique(subjects[fold.train]).tolist()
    drawn = sorted(training, key=lambda subject: stream("inner_validation", fold.seed, fold.held_out, subject))
    many = min(len(drawn) - 1, max(1, round(config.inner_share * len(drawn))))
    return np.asarray(fold.train & np.isin(subjects, drawn[:many]))


class Kept:
    """Of each fold the probabilities by the rule of its configuration, while epochs go by: [F, N, C].

    labels [F, N]: of the clips, as each fold is told them where it may not know them. watched [F, N]: the clips by
    which each fold's epoch is chosen.
    """

    def __init__(self, config: TrialConfig, labels: npt.NDArray[np.int64], watched: Sequence[Mask]) -> None:
        self.config, self.labels, self.watched = config, labels, np.stack(list(watched))
        self.best = np.full(len(labels), -np.inf)
        self.probabilities: Floats | None = None

    def wants(self, epoch: int) -> bool:
        """Whether the predictions after this epoch, counted from 0, are asked for."""
        return self.config.checkpoint != "mean_of_last" or epoch >= self.config.epochs - self.config.last_epochs

    def see(self, found: Floats) -> None:
        """Predictions after an epoch, [F, N, C]; NaN where a clip is neither held out nor watched."""
        if self.probabilities is None:
            self.probabilities = np.zeros_like(found) if self.config.checkpoint == "mean_of_last" else found.copy()
        if self.config.checkpoint == "mean_of_last":
            self.probabilities += found / min(self.config.last_epochs, self.config.epochs)
            return
        values = self._values(found)
        better = values > self.best  # of equal epochs the first
        self.best[better] = values[better]
        self.probabilities[better] = found[better]

    def _values(self, found: Floats) -> Floats:
        """How good an epoch is for each fold [F]: its accuracy on what is held out, or its negative inner loss."""
        out = np.full(len(found), -np.inf)
        for fold, (own, watched) in enumerate(zip(found, self.watched, strict=True)):
            labels = self.labels[fold][watched]
            if not np.isfinite(own[watched]).all():
                continue
            if self.config.checkpoint == "test_oracle":
                out[fold] = (own[watched].argmax(1) == labels).mean()
            else:
                out[fold] = np.log(own[watched, labels].clip(np.finfo(np.float64).tiny)).mean()
        return out
