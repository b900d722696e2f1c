"""Results: predictions and trials, checked before anything is computed."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from search_spaces.errors import UserError
from search_spaces.protocols import LOSO, Protocol, protocol

if TYPE_CHECKING:  # the study writes these tables without pandas, which takes long to import
    import pandas as pd

# predictions.parquet: one row a (trial, seed, clip). Truth and prediction meet on (dataset, subject, clip_id).
PREDICTIONS = pa.schema(
    [
        pa.field("trial", pa.int64(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("arm", pa.string()),  # null: a proposal of the search
        pa.field("configuration", pa.string(), nullable=False),  # TrialConfig.key()
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("held_out", pa.string(), nullable=False),  # the fold's name; under LOSO the subject
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("y_true", pa.string(), nullable=False),
        pa.field("y_pred", pa.string(), nullable=False),
        pa.field(
            "probabilities", pa.list_(pa.float64()), nullable=False
        ),  # in the order of the study's classes; or empty
    ]
)

# trials.parquet: one row a trial, whatever became of it; the file's metadata under METADATA_KEY is Metadata as JSON.
TRIALS = pa.schema(
    [
        pa.field("trial", pa.int64(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("arm", pa.string()),
        pa.field("configuration", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),  # complete | failed | pruned | running
        pa.field("uf1", pa.float64()),  # null unless complete
        pa.field("seeds", pa.list_(pa.int64()), nullable=False),
        pa.field("factors", pa.string(), nullable=False),  # JSON: the level of every factor
        pa.field("parameters", pa.int64()),
        pa.field("multiply_adds", pa.int64()),  # of one clip's forward pass
        pa.field("seconds", pa.float64()),  # of the whole trial, all its seeds
        pa.field("peak_memory", pa.float64()),  # MiB
        pa.field("device", pa.string()),
        pa.field("why", pa.string()),  # the reason of a failed trial
    ]
)

METADATA_KEY = b"losolab"
STATES = ("complete", "failed", "pruned", "running")
CLIP = ["dataset", "subject", "clip_id"]
ELSEWHERE = "protocol as its authors say"  # of predictions made elsewhere
SHOWN = 40  # problems of one kind that are spelled out; the rest is counted

# Differences of UF1 up to this are of no practical matter, where a study does not declare its own.
MARGIN = 0.02


@dataclass(frozen=True)
class Arm:
    """A row of the ablation table as planned: its changes to the baseline, and why it cannot run if it cannot.

    checkpoint: by which rule its epochs were taken, where predictions made elsewhere say so.
    """

    arm: str
    stage: str
    changes: Mapping[str, Any]
    impossible: str | None = None
    checkpoint: str | None = None


BEFORE_ANY_REPORT = "before any report"  # how an addition ends that nobody can have made for what a report showed


@dataclass(frozen=True)
class Metadata:
    """What a study says of itself. `notes` are what the report must open with; `truth` is known of synthetic data."""

    name: str
    question: str
    dataset: str
    dataset_digest: str
    protocol: str
    classes: tuple[str, ...]
    baseline: str | None
    arms: tuple[Arm, ...]
    truth: Mapping[str, Any] | None
    provenance: Mapping[str, Any]
    notes: tuple[str, ...]
    objectives: tuple[str, ...] = ("uf1",)  # of the search: UF1 up, sizes down
    # (dataset, subject) by whose scores alone the search chose, and which alone its trials hold out; none: by all.
    chosen_by: tuple[tuple[str, str], ...] = ()
    added: tuple[str, ...] = ()  # arms, seeds and proposals that came after the study had begun, and after which report
    # (stage, seed, dataset, subject, arm): of a nested protocol, the arm that the inner folds chose for a subject.
    chosen_inside: tuple[tuple[str, int, str, str, str], ...] = ()
    equivalence: float = MARGIN  # differences of UF1 up to this are of no practical matter

    @classmethod
    def decode(cls, text: bytes | str) -> "Metadata":
        """From JSON. Raises KeyError or TypeError where a key is missing or one too many."""
        raw = json.loads(text)
        arms = tuple(Arm(**arm) for arm in raw["arms"])
        lists = {name: tuple(raw[name]) for name in ("classes", "notes", "objectives", "added") if name in raw}
        choosers = tuple((str(dataset), str(subject)) for dataset, subject in raw.get("chosen_by", ()))
        inside = tuple((str(a), int(seed), *map(str, rest)) for a, seed, *rest in raw.get("chosen_inside", ()))
        return cls(**{**raw, **lists, "arms": arms, "chosen_by": choosers, "chosen_inside": inside})


def protocol_of(levels: Mapping[str, Any]) -> Protocol:
    """The protocol of a configuration by its levels; LOSO where they do not say, as those of older studies."""
    return protocol(str(levels.get("protocol", LOSO)))


@dataclass(frozen=True)
class Trial:
    """A row of trials.parquet, its factors decoded."""

    trial: int
    stage: str
    arm: str | None
    configuration: str
    state: str
    uf1: float | None
    seeds: tuple[int, ...]
    factors: Mapping[str, Any]
    parameters: int | None
    multiply_adds: int | None
    seconds: float | None
    peak_memory: float | None
    device: str | None
    why: str | None

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"trial {self.trial}" if self.arm is None else f"arm {self.arm!r}"

    @property
    def complete(self) -> bool:
        return self.state == "complete"

    @property
    def by_subject(self) -> bool:
        """Whether its protocol holds out subjects whole, and in the end all of them."""
        return protocol_of(self.factors).by_subject


@dataclass(frozen=True, eq=False)
class Results:
    """A study's results: the predictions of its complete trials, sorted by trial, seed and clip, and all its trials.

    Every complete (trial, seed) predicts every clip exactly once (but under holdout), with the same truth.
    """

    predictions: "pd.DataFrame"
    trials: tuple[Trial, ...]
    metadata: Metadata

    @classmethod
    def of(cls, predictions: pa.Table, trials: pa.Table, metadata: Metadata) -> "Results":
        """From tables in memory of schemas PREDICTIONS and TRIALS. Raises UserError as `checked` does."""
        decoded = [r | {"seeds": tuple(r["seeds"]), "factors": json.loads(r["factors"])} for r in trials.to_pylist()]
        return cls.checked(predictions.to_pandas(), [Trial(**row) for row in decoded], metadata)

    @classmethod
    def checked(cls, predictions: "pd.DataFrame", trials: Sequence[Trial], metadata: Metadata) -> "Results":
        """From rows with the columns of PREDICTIONS, in any order. Raises UserError that names all that is wrong."""
        rows = predictions[PREDICTIONS.names].sort_values(["trial", "seed", *CLIP], ignore_index=True)
        runs = tuple(sorted(trials, key=lambda run: run.trial))
        problems = _problems_of_trials(rows, runs, metadata) or _problems_of_clips(rows, runs, metadata)
        if problems:
            raise UserError(problems)
        whole = rows.trial.isin([run.trial for run in runs if run.complete])
        return cls(rows if whole.all() else rows[whole].reset_index(drop=True), runs, metadata)


def _problems_of_trials(rows: "pd.DataFrame", runs: Sequence[Trial], metadata: Metadata) -> list[str]:
    """What is wrong with the list of trials itself: nothing about clips can be said before this is right."""
    arms = [(arm.stage, arm.arm) for arm in metadata.arms]
    known = ", ".join(f"{arm} ({stage})" for stage, arm in arms)
    problems = [f"trial {n}: there twice in trials.parquet" for n in _repeated([run.trial for run in runs])]
    problems += [f"arm {arm!r}: there twice in stage {stage}" for stage, arm in _repeated(arms)]
    for run in runs:
        if run.state not in STATES:
            problems.append(f"trial {run.trial}: state {run.state!r} is none of {', '.join(STATES)}")
        if run.arm is not None and (run.stage, run.arm) not in arms:
            problems.append(f"trial {run.trial}: arm {run.arm!r} of stage {run.stage} is none of the study's: {known}")
    if metadata.baseline is not None and metadata.baseline not in {arm for _, arm in arms}:
        problems.append(f"baseline {metadata.baseline!r} is none of the study's arms: {known}")
    seeds = {(run.trial, seed) for run in runs for seed in run.seeds}
    for trial, seed in rows[["trial", "seed"]].drop_duplicates().itertuples(index=False, name=None):
        if (trial, seed) not in seeds:
            problems.append(
                f"trial {trial}, seed {seed}: has predictions, but trials.parquet has no such trial and seed"
            )
    return problems


def _problems_of_clips(rows: "pd.DataFrame", runs: Sequence[Trial], metadata: Metadata) -> list[str]:
    """Clips twice or missing, truths that differ, labels unknown, classes that never occur."""
    names, classes = {run.trial: run.name for run in runs}, metadata.classes
    problems = _list(rows[rows.duplicated(["trial", "seed", *CLIP])], names, "is predicted twice")
    proposals = {run.trial for run in runs if run.arm is None} if metadata.chosen_by else set[int]()
    whole = "that others predict" if metadata.protocol == ELSEWHERE else "though the trial is complete"
    problems += _list(_missing(rows, runs, proposals), names, f"is missing {whole}")
    differ = rows[rows.groupby(CLIP).y_true.transform("nunique") > 1]
    if len(differ):
        usual = differ.groupby(CLIP).y_true.transform(lambda truth: truth.value_counts(sort=True).index[0])
        than = "most trials" if len(names) > 2 else "the other trial"
        problems += _list(differ[differ.y_true != usual], names, f"has another y_true than in {than}")
    for column in ("y_true", "y_pred"):
        strange = rows[~rows[column].isin(classes)]
        problems += _list(strange, names, f"has a {column} that is none of {', '.join(classes)}")
    narrow = rows[~rows.probabilities.map(len).isin((0, len(classes)))]
    problems += _list(narrow, names, f"needs {len(classes)} probabilities, one a class")
    split = rows.trial.isin([run.trial for run in runs if not run.by_subject])
    folds = rows.groupby(["trial", "seed", "dataset", "subject"]).held_out.transform("nunique")
    problems += _list(
        rows[(folds > 1) & ~split], names, "are held out in several folds, so that their subject trained its own test"
    )
    if len(rows) and len(rows[["dataset", "subject"]].drop_duplicates()) < 2:
        problems.append(f"subject {rows.subject[0]!r} is the only one; intervals over subjects need at least 2")
    absent = [name for name in classes if len(rows) and name not in set(rows.y_true)]
    return problems + [f"class {name!r}: no clip has this y_true; leave it out of the classes" for name in absent]


def _missing(rows: "pd.DataFrame", runs: Sequence[Trial], partial: Collection[int]) -> "pd.DataFrame":
    """The clips that some trial has and a (complete trial, seed) has not: columns trial, seed and those of CLIP.

    partial: trials that hold out some of the subjects only, each of them whole.
    """
    wanted = [(run.trial, seed) for run in runs if run.complete and run.by_subject for seed in run.seeds]
    place = {run: i for i, run in enumerate(wanted)}
    run_of_row = np.array([place.get(run, -1) for run in zip(rows.trial, rows.seed, strict=True)], dtype=np.int64)
    clips = rows[CLIP].drop_duplicates().sort_values(CLIP, ignore_index=True)
    clip_of_row = rows.groupby(CLIP, sort=True).ngroup().to_numpy()
    there = np.zeros((len(wanted), len(clips)), dtype=np.bool_)
    there[run_of_row[run_of_row >= 0], clip_of_row[run_of_row >= 0]] = True
    if partial:
        subject = clips.groupby(["dataset", "subject"], sort=False).ngroup().to_numpy()
        held_out = np.array([np.bincount(subject, own) > 0 for own in there]).reshape(len(wanted), -1)[:, subject]
        there |= ~held_out & np.isin([trial for trial, _ in wanted], list(partial))[:, None]
    run, clip = np.nonzero(~there)
    trial, seed = np.array(wanted, dtype=np.int64).reshape(-1, 2)[run].T
    return clips.iloc[clip].assign(trial=trial, seed=seed)


def _list(rows: "pd.DataFrame", names: Mapping[int, str], what: str) -> list[str]:
    """One line for each (trial, seed, subject) with its clips."""
    clips: dict[tuple[int, int, str, str], list[str]] = {}
    columns = ["trial", "seed", "dataset", "subject", "clip_id"]
    for *where, clip in rows[columns].itertuples(index=False, name=None):
        clips.setdefault(tuple(where), []).append(clip)
    several = len({dataset for _, _, dataset, _ in clips}) > 1
    lines = [
        f"{names[trial]}, seed {seed}, {f'dataset {dataset!r}, ' * several}subject {subject!r}: clip "
        f"{', '.join(dict.fromkeys(found))} {what}"
        for (trial, seed, dataset, subject), found in clips.items()
    ]
    return lines[:SHOWN] + ([f"... and {len(lines) - SHOWN} more: a clip that {what}"] if len(lines) > SHOWN else [])


def _repeated(values: Sequence[Any]) -> list[Any]:
    return [value for value, times in Counter(values).items() if times > 1]
