"""Protocols: folds as masks over clips."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search_spaces.identity import digest
from study.data.clips import Clips


@dataclass(frozen=True)
class Fold:
    """One seed, one set of training clips, one set of held-out clips: masks over all clips, bool [N]."""

    seed: int
    held_out: str  # under LOSO the subject
    train: npt.NDArray[np.bool_]
    test: npt.NDArray[np.bool_]


def loso(clips: Clips, seed: int) -> list[Fold]:
    """Leave-one-subject-out: a fold a subject, in the one shuffled order that the dataset's digest fixes."""
    order = sorted(set(clips.subjects.tolist()), key=lambda subject: digest([clips.digests["index"], subject]))
    masks = {subject: clips.subjects == subject for subject in order}
    return [Fold(seed, subject, ~mask, mask) for subject, mask in masks.items()]
