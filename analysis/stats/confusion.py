"""The integer tensor of confusions: everything that the analysis says is algebra on it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # the study counts folds without pandas, which takes long to import
    from analysis.results.results import Results

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Confusions:
    """Counts of clips, int64 [N subjects, R runs, K true, K predicted]; a run is a complete trial's seed.

    Subjects are (dataset, subject), ordered by their counts, so that nothing drawn at random downstream depends on the
    order of rows, on subjects' names or on the order of classes.
    """

    counts: Counts
    subjects: tuple[tuple[str, str], ...]
    runs: tuple[tuple[int, int], ...]

    def of(self, trials: Sequence[int], seeds: Collection[int] | None = None) -> Counts:
        """The runs of these trials as seeds of one configuration: [N subjects, S seeds, K true, K predicted].

        seeds: only these, where given.
        """
        places = sorted(i for trial in set(trials) for i in self._places.get(trial, ()))
        return self.counts[:, [i for i in places if seeds is None or self.runs[i][1] in seeds]]

    @property
    def clips(self) -> Counts:
        """Clips of each subject [N]: of the runs that held it out, for a search may not hold out all."""
        return self.counts.sum((2, 3)).max(1, initial=0)

    def among(self, subjects: Collection[tuple[str, str]]) -> npt.NDArray[np.bool_]:
        """Which of the subjects these (dataset, subject) are, bool [N]."""
        return np.array([subject in subjects for subject in self.subjects], dtype=np.bool_)

    @cached_property
    def _places(self) -> dict[int, list[int]]:
        """Where the runs of each trial are."""
        places: dict[int, list[int]] = {}
        for i, (trial, _) in enumerate(self.runs):
            places.setdefault(trial, []).append(i)
        return places


def confusions(results: "Results") -> Confusions:
    """Count the predictions of every complete trial."""
    import pandas as pd

    rows, classes = results.predictions, results.metadata.classes
    subject, subjects = pd.MultiIndex.from_frame(rows[["dataset", "subject"]]).factorize(sort=True)
    run, runs = pd.MultiIndex.from_frame(rows[["trial", "seed"]]).factorize(sort=True)
    true, predicted = (pd.Categorical(rows[column], classes).codes for column in ("y_true", "y_pred"))
    shape = len(subjects), len(runs), len(classes), len(classes)
    cells = np.ravel_multi_index((subject, run, true.astype(np.int64), predicted.astype(np.int64)), shape)
    counts = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
    order = by_content(counts)
    named = tuple((str(dataset), str(name)) for dataset, name in subjects[order])
    return Confusions(counts[order], named, tuple((int(trial), int(seed)) for trial, seed in runs))


def by_content(counts: Counts) -> npt.NDArray[np.int64]:
    """An order of subjects [N] that only their counts [N, R, K, K] decide: clips first, then what was predicted.

    Classes are put in an order of their own content before, so that renaming them changes nothing.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    about = (counts.sum((0, 3)), counts.sum((0, 2)), hits.sum(0), np.sort(counts.sum(3), 0), np.sort(hits, 0))
    signs = [tuple(np.concatenate([part[..., c].ravel() for part in about])) for c in range(counts.shape[-1])]
    classes = sorted(range(len(signs)), key=signs.__getitem__)
    canonical = counts[..., classes, :][..., classes]
    key = np.concatenate([canonical[:, :1].sum(-1).reshape(len(counts), -1), canonical.reshape(len(counts), -1)], 1)
    return np.lexsort(key.T[::-1]) if key.size else np.arange(len(counts))


def count(*, y_true: Sequence[str], y_pred: Sequence[str], classes: Sequence[str]) -> Counts:
    """Confusion [K true, K predicted] of raw labels. Keyword-only: UF1 cannot tell a transposed matrix, UAR can.

    Raises ValueError for lengths that differ and labels that are not among the classes.
    """
    position = {name: i for i, name in enumerate(classes)}
    unknown = sorted({*y_true, *y_pred} - set(position))
    if unknown:
        raise ValueError(f"labels {unknown} are none of {list(classes)}")
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for true, predicted in zip(y_true, y_pred, strict=True):
        matrix[position[true], position[predicted]] += 1
    return matrix
