"""What MLflow is to show of a study, from the ledger alone: a run for the study and one for each trial. No mlflow."""

import json
import sqlite3
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from search_spaces.config import FACTORS, TrialConfig, architecture
from search_spaces.digests import digest
from study.ledger.schema import is_blank, ledger_path
from study.ledger.writer import read_only
from study.models.sizes import known_size

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
    dataset: str
    dataset_digest: str
    classes: tuple[str, ...]
    factors: tuple[str, ...]  # those that the study varies, in the order of TrialConfig
    prefix: str  # of every key: one ledger's. A study made anew under an old name has other runs.
    runs: tuple[Run, ...]


def begun(folder: Path) -> bool:
    """Whether the folder's ledger knows of a study yet."""
    if not (path := ledger_path(folder)).is_file():
        return False
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)
    try:
        return not is_blank(db, path) and db.execute("select 1 from study").fetchone() is not None
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
    description, resolved = json.loads(study["description"]), json.loads(study["resolved"])
    gpu = (resolved.get("resources") or {}).get("gpu") or 1.0
    spent = [_Spent.of(fold, gpu) for fold in folds]
    of_run: dict[tuple[str, int], list[_Spent]] = defaultdict(list)
    for fold, own in zip(folds, spent, strict=True):
        of_run[fold["configuration"], fold["seed"]].append(own)
    prefix = digest([study["name"], study["began"]])[:12]
    runs = [_study(prefix, study, description, len(trials), outcomes, spent)]
    for trial in trials:
        if (number := trial["trial"]) in began:
            mine = [one for seed in json.loads(trial["seeds"]) for one in of_run[trial["key"], seed]]
            classes = len(description["classes"])
            runs.append(_trial(prefix, trial, outcomes.get(number), began[number], mine, classes))
    return StudyRuns(
        name=study["name"],
        question=description["question"],
        file=study["file"],
        tracking_uri=resolved.get("tracking_uri"),
        dataset=description["dataset"],
        dataset_digest=description["dataset_digest"],
        classes=tuple(description["classes"]),
        factors=_varied(trials),
        prefix=prefix,
        runs=tuple(runs),
    )


@dataclass(frozen=True)
class _Spent:
    """What a fold took."""

    ended: int  # ms since 1970
    seconds: float
    gpu_seconds: float
    peak_memory: float
    device: str

    @classmethod
    def of(cls, fold: sqlite3.Row, gpu: float) -> "_Spent":
        """gpu: the share of one that a trial is given, where there is one."""
        device = json.loads(fold["arithmetic"])["device"]
        on_gpu = 0.0 if device == "cpu" else gpu * fold["seconds"]
        return cls(_ms(fold["ended"]), fold["seconds"], on_gpu, fold["peak_memory"], device)


def _varied(trials: list[dict[str, Any]]) -> tuple[str, ...]:
    """The factors that a search proposes, and those in which configurations differ; regions and fusion by one name."""
    searched = {name for trial in trials for name in json.loads(trial["levels"] or "{}")}
    levels = [json.loads(trial["configuration"]) for trial in trials]
    found = searched | {name for name in FACTORS if len({str(own.get(name)) for own in levels}) > 1}
    named = ["architecture"] if found & {"architecture", "regions", "fusion"} else []
    return tuple(named + [name for name in FACTORS if name in found - {"regions", "fusion"}])


def _study(
    prefix: str,
    study: dict[str, Any],
    description: dict[str, Any],
    trials: int,
    outcomes: dict[int, dict[str, Any]],
    spent: list[_Spent],
) -> Run:
    """The study's run: where its numbers come from, and how far it was at the end of each of its trials."""
    status = "FINISHED" if outcomes and len(outcomes) == trials else "RUNNING"
    tags = {
        "mlflow.note.content": description["question"],
        "dataset": description["dataset"],
        "dataset_digest": description["dataset_digest"],
        "protocol": description["protocol"],
        "device": spent[0].device if spent else "",
    } | {f"version.{name}": version for name, version in json.loads(study["provenance"]).items()}
    last = max((_ms(outcome["ended"]) for outcome in outcomes.values()), default=None)
    return Run(
        key=f"{prefix}/study",
        name=study["name"],
        began=_ms(study["began"]),
        ended=last if status == "FINISHED" else None,
        status=status,
        parameters={},
        metrics=tuple(_summary(outcomes, spent)),
        tags={name: value for name, value in tags.items() if value},
    )


def _summary(outcomes: dict[int, dict[str, Any]], spent: list[_Spent]) -> Iterator[Metric]:
    """Every number at the end of every trial, the step: the last one is right also after a trial was tried again."""
    spent = sorted(spent, key=lambda fold: fold.ended)
    ends = [fold.ended for fold in spent]
    seconds = list(accumulate((fold.seconds for fold in spent), initial=0.0))
    gpu_seconds = list(accumulate((fold.gpu_seconds for fold in spent), initial=0.0))
    ended: Counter[str] = Counter()
    best: float | None = None
    for step, outcome in enumerate(outcomes.values(), start=1):
        at = _ms(outcome["ended"])
        ended[outcome["state"]] += 1
        if outcome["state"] == "complete":
            best = outcome["value"] if best is None else max(best, outcome["value"])
        if best is not None:
            yield "best_uf1", round(best, 4), at, step
        for state in ("complete", "pruned", "failed"):
            yield f"trials_{state}", ended[state], at, step
        folds = bisect_right(ends, at)
        yield "folds_done", folds, at, step
        yield "seconds", round(seconds[folds], 4), at, step
        if gpu_seconds[-1]:
            yield "gpu_seconds", round(gpu_seconds[folds], 4), at, step


def _trial(
    prefix: str,
    trial: dict[str, Any],
    outcome: dict[str, Any] | None,
    attempt: sqlite3.Row,
    folds: list[_Spent],
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
        "device": folds[0].device if folds else None,
        "node": attempt["node"],
    }
    own = f"{trial['arm']}/seed {seeds}" if trial["arm"] else str(trial["trial"])  # as the report calls it
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


def _results(outcome: dict[str, Any] | None, folds: list[_Spent]) -> list[Metric]:
    """What a trial that ended reached and cost. The value of a pruned one is what was imputed to it: no result."""
    if outcome is None:
        return []
    at = _ms(outcome["ended"])
    found: dict[str, float] = {}
    if outcome["state"] == "complete":
        found["uf1"] = outcome["value"]
    if folds:
        found["seconds"] = sum(fold.seconds for fold in folds)
        found["peak_memory"] = max(fold.peak_memory for fold in folds)
    if on_gpu := sum(fold.gpu_seconds for fold in folds):
        found["gpu_seconds"] = on_gpu
    return [(name, round(value, 4), at, 0) for name, value in found.items()]


def _sizes(config: TrialConfig, n_classes: int, at: int) -> list[Metric]:
    """The network's size, as metrics: MLflow sorts parameters as text."""
    size = known_size(config, n_classes)
    return [("parameters", size.parameters, at, 0), ("multiply_adds", size.multiply_adds, at, 0)] if size else []


def _progress(folds: list[_Spent]) -> list[Metric]:
    return [("folds_done", n, at, n) for n, at in enumerate(sorted(fold.ended for fold in folds), start=1)]


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
