"""Protocols: how clips are divided into folds, as masks over all clips."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search_spaces.digests import digest
from study.data.clips import ClipNames


@dataclass(frozen=True)
class Fold:
    """One seed, one set of training clips, one set of held-out clips: masks over all clips, bool [N]."""

    seed: int
    held_out: str  # under LOSO the subject
    train: npt.NDArray[np.bool_]
    test: npt.NDArray[np.bool_]


def shuffled(subjects: Iterable[str], index_digest: str) -> list[str]:
    """The subjects in the one shuffled order in which every trial takes them, which the dataset's digest fixes."""
    return sorted(set(subjects), key=lambda subject: digest([index_digest, subject]))


def loso(clips: ClipNames, seed: int) -> list[Fold]:
    """Leave-one-subject-out: a fold a subject, in their shuffled order."""
    order = shuffled(clips.subjects.tolist(), clips.digests["index"])
    masks = {subject: clips.subjects == subject for subject in order}
    return [Fold(seed, subject, ~mask, mask) for subject, mask in masks.items()]
