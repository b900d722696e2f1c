"""A study at one moment as its ledger has it: typed rows for whoever reads it, and which of its folds count."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from sqlite3 import DatabaseError, Row
from typing import Any, Literal

import numpy as np

from search_spaces.config import TrialConfig
from search_spaces.digests import digest
from search_spaces.errors import UserError
from search_spaces.spec import StudySpec
from study.data.clips import ClipNames
from study.ledger.damage import damage
from study.ledger.schema import ledger_path, read_only
from study.training.protocol import of_outer_fold
from study.trials.fold_identity import Arithmetic, read_arithmetic
from study.trials.subject_order import Course
from study.trials.trial import Trial

_TRIALS = """select proposal.*, state, kept, value, why, outcome.ended as ended, attempts.* from proposal
    left join outcome using (trial) left join
    (select trial as of_trial, min(began) as began, max(node) as node,
        max(case when ended is null then began end) as open_since from attempt group by trial) as attempts
    on attempts.of_trial = proposal.trial"""
Detail = Literal["times", "keys", "costs", "predictions"]
# The columns of folds to each detail; those of the first are in an index, so that no row is read for them.
_TIMES = "configuration, seed, origin, seconds, fold.ended, arithmetic"
_COLUMNS: dict[Detail, str] = {
    "times": f"{_TIMES} from fold",
    "keys": f"{_TIMES}, key from fold",
    "costs": f"{_TIMES}, peak_memory from fold",
    "predictions": f"{_TIMES}, peak_memory, key, held_out, predictions, provenance "
    "from fold join attempt on attempt.id = attempt",
}


@dataclass(frozen=True)
class TrialRow:
    """A trial, and how it ended: `state` is None until then. Times are seconds since 1970.

    value: UF1, the mean over seeds; of a pruned trial what was imputed to it. levels, rejected: a search's asks by
    factor. began: the first attempt; open_since: the one that has not ended.
    """

    trial: Trial
    key: str  # the digest of its configuration, by which its folds are found
    levels: dict[str, Any] | None
    opponent: int | None
    state: str | None
    kept: int | None  # folds that count
    value: float | None
    why: str | None
    ended: float | None
    began: float | None
    node: str | None
    open_since: float | None

    @property
    def number(self) -> int:
        return self.trial.number


@dataclass(frozen=True)
class FoldRow:
    """A fold, as far as it was asked for: what is below `arithmetic` may be blank.

    predictions: JSON, as FoldResult has them. provenance: of the attempt that trained it. origin: the study that it was
    copied from.
    """

    configuration: str
    seed: int
    origin: str | None
    seconds: float
    ended: float
    arithmetic: Arithmetic
    peak_memory: float = 0.0
    key: str = ""
    held_out: str = ""
    predictions: str = "[]"
    provenance: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A study: what it is, its trials in the order of the ledger, its folds by configuration, seed and subject.

    file: as it was given; resolved: as it was understood. description: what its readers have to know of it.
    """

    name: str
    file: str
    resolved: dict[str, Any]
    identity: dict[str, Any]
    description: dict[str, Any]
    provenance: dict[str, str]
    began: float
    trials: tuple[TrialRow, ...]
    folds: tuple[FoldRow, ...]

    @cached_property
    def spec(self) -> StudySpec:
        return StudySpec.model_validate(self.resolved)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.description["classes"])

    @cached_property
    def clips(self) -> ClipNames:
        """The clips that the folds were trained on: what the key of a fold is made of."""
        rows = self.description["clips"]
        several = len({dataset for _, dataset, _, _ in rows}) > 1
        subjects = [f"{dataset}/{subject}" if several else subject for _, dataset, subject, _ in rows]
        known = {n: own if isinstance(own, str) else digest(own) for n, own in self.identity["data"].items()}
        labels = np.array(self.description.get("labels", [-1] * len(rows)), dtype=np.int64)
        return ClipNames(np.array([clip for clip, *_ in rows]), np.array(subjects), self.classes, known, labels)

    @cached_property
    def course(self) -> Course:
        """What the study's protocol holds out, in the order in which every trial takes it; and the classes."""
        return Course.of(self.clips, self.description["protocol"])

    @property
    def choosers(self) -> int | None:
        """So many of the first parts of its course a search's trials hold out; None: all."""
        return _choosers(self.description)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Of all folds."""
        return frozenset(fold.key for fold in self.folds)

    @cached_property
    def _of_run(self) -> dict[tuple[str, int], list[FoldRow]]:
        runs: dict[tuple[str, int], list[FoldRow]] = defaultdict(list)
        for fold in self.folds:
            runs[fold.configuration, fold.seed].append(fold)
        return runs

    def folds_of(self, row: TrialRow) -> list[FoldRow]:
        """All folds of a trial, seed after seed."""
        return [fold for seed in row.trial.seeds for fold in self._of_run.get((row.key, seed), ())]

    def counted(self, row: TrialRow) -> list[FoldRow]:
        """The folds that count for a trial: no inner ones, and of a pruned one those up to its race's end."""
        if row.state != "pruned":
            return [fold for fold in self.folds_of(row) if of_outer_fold(fold.held_out) is None]
        parts = self.course.parts[: (row.kept or 0) // len(row.trial.seeds)]
        return [fold for fold in self.folds_of(row) if fold.held_out in parts]


def snapshot(folder: Path, *, folds: Detail = "predictions", only: int | None = None) -> Snapshot | None:
    """A study as it is now; None where its ledger has none yet.

    folds: how much is read of them. only: of this trial alone. Raises UserError where no ledger is, or one of another
    version.
    """
    of_trial, of_its_folds = "", ""
    if only is not None:
        of_trial = f"where proposal.trial = {only:d}"
        of_its_folds = f"where configuration = (select key from proposal {of_trial})"
    order = "configuration, seed" + ", held_out" * (folds == "predictions")
    with closing(read_only(folder)) as db:
        study = db.execute("select * from study").fetchone()
        proposals = db.execute(f"{_TRIALS} {of_trial} order by proposal.trial").fetchall()
        rows = db.execute(f"select {_COLUMNS[folds]} {of_its_folds} order by {order}").fetchall()
    if study is None:
        return None
    description = json.loads(study["description"])
    return Snapshot(
        name=study["name"],
        file=study["file"],
        resolved=json.loads(study["resolved"]),
        identity=json.loads(study["identity"]),
        description=description,
        provenance=json.loads(study["provenance"]),
        began=study["began"],
        trials=tuple(_trials(proposals, _choosers(description))),
        folds=tuple(_folds(rows)),
    )


def begun_study(folder: Path, otherwise: str, folds: Detail = "predictions") -> Snapshot:
    """The snapshot of a study that has begun. Raises UserError with what is damaged where none has, or `otherwise`."""
    study = snapshot(folder, folds=folds)
    if study is None:
        raise UserError(damage(folder) or f"{folder}: {otherwise}")
    return study


def begun_as(folder: Path) -> dict[str, Any] | None:
    """A study's file as it was understood when it was last run; None where none has begun, or it cannot be read."""
    if not ledger_path(folder).is_file():
        return None
    try:
        with closing(read_only(folder)) as db:
            row = db.execute("select resolved from study").fetchone()
    except UserError:  # blank, or of another version: the run itself says so
        return None
    return json.loads(row["resolved"]) if row else None


@dataclass(frozen=True)
class Timed:
    """Folds that a study trained of one configuration by one arithmetic: how many, and their mean seconds."""

    config: TrialConfig
    arithmetic: Arithmetic
    folds: int
    seconds: float


def timed(folder: Path) -> tuple[dict[str, Any], list[Timed]]:
    """The description of another study, and what its folds took.

    Raises UserError where its ledger cannot be read, and ValueError, TypeError or LookupError where it is damaged.
    """
    query = """select configuration, arithmetic, count(*) as folds, avg(seconds) as seconds from fold
        where origin is null group by configuration, arithmetic"""
    try:
        with closing(read_only(folder, of_another=True)) as db:
            study = db.execute("select description from study").fetchone()
            proposals = db.execute("select distinct key, configuration from proposal").fetchall()
            rows = db.execute(query).fetchall()
    except DatabaseError as problem:
        raise UserError(f"{folder}: its ledger cannot be read ({problem})") from None
    configs = {row["key"]: TrialConfig(**json.loads(row["configuration"])) for row in proposals}
    rows = [row for row in rows if study and row["configuration"] in configs]
    return json.loads(study["description"]) if rows else {}, [
        Timed(configs[row["configuration"]], read_arithmetic(row["arithmetic"]), row["folds"], row["seconds"])
        for row in rows
    ]


def _choosers(description: dict[str, Any]) -> int | None:
    many = description.get("choosers", len(description.get("chosen_by", ())))  # of older ledgers, which know LOSO alone
    return many or None


def trial_of(row: Row, first: int | None) -> Trial:
    """The trial of a proposal's row; that of a search holds out the `first` so many parts, None: all."""
    config, seeds = TrialConfig(**json.loads(row["configuration"])), tuple(json.loads(row["seeds"]))
    return Trial(row["trial"], row["stage"], row["arm"], config, seeds, parts=first if row["arm"] is None else None)


def _trials(rows: Sequence[Row], first: int | None) -> Iterator[TrialRow]:
    for row in rows:
        names = ("key", "opponent", "state", "kept", "value", "why", "ended", "began", "node", "open_since")
        yield TrialRow(
            trial=trial_of(row, first),
            levels=None if row["levels"] is None else json.loads(row["levels"]),
            **{name: row[name] for name in names},
        )


def _folds(rows: Sequence[Row]) -> Iterator[FoldRow]:
    for row in rows:
        told = dict(row) | {"arithmetic": read_arithmetic(row["arithmetic"])}
        if "provenance" in told:
            told["provenance"] = _provenance(told["provenance"])
        yield FoldRow(**told)


@cache
def _provenance(text: str) -> dict[str, str]:
    """All attempts of a run have the same."""
    return dict(json.loads(text))
