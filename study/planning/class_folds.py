"""In how many folds of a seed each class can be trained and tested: one of a single subject never in the same fold."""

from collections.abc import Iterator

import numpy as np

from study.data.clips import ClipIndex, assemble
from study.training.protocol import folds, of_outer_fold


def class_folds(index: ClipIndex, protocol: str) -> str:
    """Of every class in words, by the masks of a protocol (inner folds left out)."""
    return f"of each seed's folds train and test a class: {', '.join(_of_each(index, protocol))}"


def _of_each(index: ClipIndex, protocol: str) -> Iterator[str]:
    clips = assemble(index, {})
    outer = [fold for fold in folds(clips, protocol, 0) if of_outer_fold(fold.held_out) is None]
    for label, name in enumerate(clips.classes):
        own = clips.labels == label
        trained = sum(bool(np.any(fold.train & own)) for fold in outer)
        tested = sum(bool(np.any(fold.test & own)) for fold in outer)
        yield f"{name} {trained} and {tested} of {len(outer)}"
