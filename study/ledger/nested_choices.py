"""Which candidate each outer fold of a nested study chose, by its inner folds alone."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from analysis.stats.nested import choices
from search_spaces.protocols import protocol
from study.ledger.snapshot import Snapshot, TrialRow
from study.training.protocol import of_outer_fold

Chosen = tuple[str, int, str, str]  # stage, seed, subject as folds hold it out, arm


def nested_choices(study: Snapshot) -> list[Chosen]:
    """Of every stage and seed under nested_loso, in the order of the ledger; among the candidates that are complete."""
    return [chosen for own in _candidates(study) for chosen in _of_seed(study, own)]


def _candidates(study: Snapshot) -> Iterator[list[TrialRow]]:
    """The complete trials of one stage and seed that compete, in the order of their arms."""
    rows = [row for row in study.trials if row.state == "complete" and _nested(row)]
    rows.sort(key=lambda row: (row.trial.stage, row.trial.seeds, row.number))
    yield from (list(own) for _, own in groupby(rows, key=lambda row: (row.trial.stage, row.trial.seeds)))


def _nested(row: TrialRow) -> bool:
    return protocol(row.trial.config.protocol).kind == "nested_loso"


def _of_seed(study: Snapshot, rows: Sequence[TrialRow]) -> Iterator[Chosen]:
    subjects = sorted(set(study.clips.subjects.tolist()))
    found = choices(np.stack([_inner(study, row, subjects) for row in rows]))
    for subject, place in zip(subjects, found.tolist(), strict=True):
        first = rows[place].trial
        yield first.stage, first.seeds[0], subject, str(first.arm)


def _inner(study: Snapshot, row: TrialRow, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
    """A trial's confusions in the inner folds of each subject, [N, K true, K predicted]."""
    place, classes = ({name: i for i, name in enumerate(names)} for names in (subjects, study.classes))
    counts = np.zeros((len(subjects), len(classes), len(classes)), np.int64)
    for fold in study.folds_of(row):
        if (subject := of_outer_fold(fold.held_out)) is not None:
            for _, true, predicted, *_ in json.loads(fold.predictions):
                counts[place[subject], classes[true], classes[predicted]] += 1
    return counts
