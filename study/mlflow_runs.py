"""What MLflow is to show of a study, from the ledger alone: a run for the study and one for each trial. No mlflow."""

import json
import sqlite3
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.confusion import count
from analysis.metrics import accuracy, uar
from search_spaces.config import TrialConfig, architecture
from search_spaces.identity import digest
from study.ledger import read_only
from study.models.geometry import geometry

STATUS = {"complete": "FINISHED", "failed": "FAILED", "pruned": "KILLED", "running": "RUNNING"}
Metric = tuple[str, float, int, int]  # name, value, time in ms, step


@dataclass(frozen=True)
class Run:
    """A run as MLflow is to have it. Every time in it is the ledger's, so that sending it again adds nothing."""

    key: str
    name: str
    began: int  # ms since 1970
    ended: int | None
    status: str
    parameters: dict[str, str]
    metrics: tuple[Metric, ...]
    tags: dict[str, str]
    trial: int | None = None  # None: the run of the study itself

    def digest(self) -> str:
        return digest(repr(self))


@dataclass(frozen=True)
class StudyRuns:
    """A study and its runs: its own first, then those of the trials that have started, in the ledger's order."""

    name: str
    question: str
    file: str
    tracking_uri: str | None
    classes: tuple[str, ...]
    prefix: str  # of every key: one ledger's. A study made anew under an old name has other runs.
    runs: tuple[Run, ...]


def begun(folder: Path) -> bool:
    """Whether the folder's ledger knows of a study yet."""
    if not (folder / "ledger.sqlite").is_file():
        return False
    db = read_only(folder)
    try:
        made = db.execute("select count(*) from sqlite_master where name = 'study'").fetchone()[0]
        return bool(made and db.execute("select count(*) from study").fetchone()[0])
    finally:
        db.close()


def study_runs(folder: Path) -> StudyRuns:
    """Read a study's runs. Raises UserError where the folder is no study's."""
    db = read_only(folder)
    with db:
        study = dict(db.execute("select * from study").fetchone())
        trials = [dict(row) for row in db.execute("select * from proposal order by trial")]
        outcomes = {row["trial"]: dict(row) for row in db.execute("select * from outcome order by ended, trial")}
        attempts = db.execute(
            "select trial, min(began) as began, max(node) as node from attempt group by trial"
        ).fetchall()
        folds = db.execute("select configuration, seed, seconds, peak_memory, arithmetic, ended from fold").fetchall()
    db.close()
    began = {row["trial"]: row for row in attempts}
    of_run: dict[tuple[str, int], list[sqlite3.Row]] = defaultdict(list)
    for fold in folds:
        of_run[fold["configuration"], fold["seed"]].append(fold)
    description, resolved = json.loads(study["description"]), json.loads(study["resolved"])
    classes = tuple(description["classes"])
    prefix = digest([study["name"], study["began"]])[:12]
    runs = [_study(prefix, study, description, len(trials), outcomes)]
    for trial in trials:
        if (number := trial["trial"]) in began:
            own = [fold for seed in json.loads(trial["seeds"]) for fold in of_run[trial["key"], seed]]
            runs.append(_trial(prefix, trial, outcomes.get(number), began[number], own, len(classes)))
    uri = resolved.get("tracking_uri")
    return StudyRuns(study["name"], description["question"], study["file"], uri, classes, prefix, tuple(runs))


def scored(folder: Path, run: Run, classes: tuple[str, ...]) -> Run:
    """A complete trial's run with UAR and accuracy behind its UF1: each a mean over seeds of pooled predictions."""
    if run.trial is None or run.status != "FINISHED":
        return run
    db = read_only(folder)
    rows = db.execute(
        "select seed, predictions, seeds from fold join proposal on fold.configuration = proposal.key where trial = ?",
        (run.trial,),
    ).fetchall()
    db.close()
    by_seed: dict[int, list[Any]] = {seed: [] for seed in json.loads(rows[0]["seeds"])} if rows else {}
    for row in rows:
        if row["seed"] in by_seed:
            by_seed[row["seed"]] += json.loads(row["predictions"])
    counts = [count(y_true=[r[1] for r in p], y_pred=[r[2] for r in p], classes=classes) for p in by_seed.values()]
    first, *others = run.metrics
    scores = [("uar", _mean(uar, counts), *first[2:]), ("accuracy", _mean(accuracy, counts), *first[2:])]
    return replace(run, metrics=(first, *scores, *others))


def _study(
    prefix: str, study: dict[str, Any], description: dict[str, Any], trials: int, outcomes: dict[int, dict[str, Any]]
) -> Run:
    """The study's run. Of its trials it tells how many ended how, each as a step at the time when it did."""
    reached: Counter[str] = Counter()
    metrics: list[Metric] = []
    for outcome in outcomes.values():
        name = f"trials_{outcome['state']}"
        reached[name] += 1
        metrics.append((name, reached[name], _ms(outcome["ended"]), reached[name]))
    status = "FINISHED" if outcomes and len(outcomes) == trials else "RUNNING"
    provenance = json.loads(study["provenance"])
    tags = {
        "mlflow.note.content": description["question"],
        "dataset": description["dataset"],
        "dataset_digest": description["dataset_digest"],
        "protocol": description["protocol"],
    } | {f"version.{name}": provenance[name] for name in ("losolab", "torch", "commit") if name in provenance}
    last = max((_ms(outcome["ended"]) for outcome in outcomes.values()), default=None)
    ended = last if status == "FINISHED" else None
    return Run(f"{prefix}/study", study["name"], _ms(study["began"]), ended, status, {}, tuple(metrics), tags)


def _trial(
    prefix: str,
    trial: dict[str, Any],
    outcome: dict[str, Any] | None,
    attempt: sqlite3.Row,
    folds: list[sqlite3.Row],
    n_classes: int,
) -> Run:
    config = TrialConfig(**json.loads(trial["configuration"]))
    state = outcome["state"] if outcome else "running"
    seeds = ", ".join(map(str, json.loads(trial["seeds"])))
    tags = {
        "stage": trial["stage"],
        "arm": trial["arm"],
        "seed": seeds,
        "architecture": architecture(config),
        "losolab.config": trial["key"],
        "losolab.status": state,
        "losolab.trial": str(trial["trial"]),
        "losolab.why": outcome and outcome["why"],
        "device": json.loads(folds[0]["arithmetic"])["device"] if folds else None,
        "node": attempt["node"],
    }
    own = f"{trial['arm']}/seed {seeds}" if trial["arm"] else str(trial["number"])
    return Run(
        key=f"{prefix}/trial/{trial['trial']}",
        name=f"{trial['stage']}/{own}",
        began=_ms(attempt["began"]),
        ended=_ms(outcome["ended"]) if outcome else None,
        status=STATUS[state],
        parameters={name: str(level) for name, level in asdict(config).items()}
        | {"architecture": tags["architecture"]},
        metrics=(*_results(outcome, folds), *_sizes(config, n_classes, _ms(attempt["began"])), *_progress(folds)),
        tags={name: value for name, value in tags.items() if value},
        trial=trial["trial"],
    )


def _results(outcome: dict[str, Any] | None, folds: list[sqlite3.Row]) -> list[Metric]:
    """What a trial that ended reached and cost. The score of some subjects only must not rank among those of all."""
    if outcome is None:
        return []
    at, metrics = _ms(outcome["ended"]), []
    if outcome["value"] is not None:
        name = "uf1" if outcome["state"] == "complete" else "partial/uf1"
        metrics.append((name, round(outcome["value"], 4), at, 0))
    if folds:
        metrics.append(("seconds", round(sum(fold["seconds"] for fold in folds), 4), at, 0))
        metrics.append(("peak_memory", round(max(fold["peak_memory"] for fold in folds), 4), at, 0))
    return metrics


def _sizes(config: TrialConfig, n_classes: int, at: int) -> list[Metric]:
    """The network's size, as metrics: MLflow sorts parameters as text."""
    layers = geometry(config, n_classes)
    return [("parameters", layers.parameters, at, 0), ("multiply_adds", layers.multiply_adds, at, 0)]


def _progress(folds: list[sqlite3.Row]) -> list[Metric]:
    return [("folds_done", n, at, n) for n, at in enumerate(sorted(_ms(fold["ended"]) for fold in folds), start=1)]


def _mean(metric: Any, counts: list[Any]) -> float:
    return round(float(np.mean([metric(c) for c in counts])), 4)


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
