"""What MLflow is to show of a study, from the ledger alone: a run for the study and one for each trial. No mlflow."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

from search_spaces.config import FACTORS, TrialConfig, architecture
from search_spaces.digests import digest
from study.ledger.snapshot import FoldRow, Snapshot, TrialRow, begun_study
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


def study_runs(folder: Path) -> StudyRuns:
    """Read a study's runs. Raises UserError where the folder is no study's."""
    study = begun_study(folder, "its run never began: there is nothing to send", "costs")
    gpu = (study.resolved.get("resources") or {}).get("gpu") or 1.0
    prefix = digest([study.name, study.began])[:12]
    ended = sorted((row for row in study.trials if row.ended is not None), key=lambda row: (row.ended, row.number))
    runs = [_study(prefix, study, ended, gpu)]
    for row in study.trials:
        if row.began is not None:
            runs.append(_trial(prefix, row, study.folds_of(row), gpu, len(study.classes)))
    return StudyRuns(
        name=study.name,
        question=study.description["question"],
        file=study.file,
        tracking_uri=study.resolved.get("tracking_uri"),
        dataset=study.description["dataset"],
        dataset_digest=study.description["dataset_digest"],
        classes=study.classes,
        factors=_varied(study.trials),
        prefix=prefix,
        runs=tuple(runs),
    )


def _varied(rows: Sequence[TrialRow]) -> tuple[str, ...]:
    """The factors that a search proposes, and those in which configurations differ; regions and fusion by one name."""
    searched = {name for row in rows for name in row.levels or {}}
    differ = {name for name in FACTORS if len({getattr(row.trial.config, name) for row in rows}) > 1}
    varied = searched | differ
    named = ["architecture"] if varied & {"architecture", "regions", "fusion"} else []
    return tuple(named + [name for name in FACTORS if name in varied - {"regions", "fusion"}])


def _study(prefix: str, study: Snapshot, ended: Sequence[TrialRow], gpu: float) -> Run:
    """The study's run: where its numbers come from, and how far it was at the end of each of its trials.

    ended: the trials that have ended, in the order in which they did. gpu: the share of one that a trial is given.
    """
    status = "FINISHED" if ended and len(ended) == len(study.trials) else "RUNNING"
    tags = {
        "mlflow.note.content": study.description["question"],
        "dataset": study.description["dataset"],
        "dataset_digest": study.description["dataset_digest"],
        "protocol": study.description["protocol"],
        "device": study.folds[0].arithmetic.device if study.folds else "",
    } | {f"version.{name}": version for name, version in study.provenance.items()}
    return Run(
        key=f"{prefix}/study",
        name=study.name,
        began=_ms(study.began),
        ended=_ms(ended[-1].ended) if status == "FINISHED" else None,
        status=status,
        parameters={},
        metrics=tuple(_summary(ended, study.folds, gpu)),
        tags={name: value for name, value in tags.items() if value},
    )


def _summary(rows: Sequence[TrialRow], folds: Sequence[FoldRow], gpu: float) -> Iterator[Metric]:
    """Every number at the end of every trial, the step: the last one is right also after a trial was tried again."""
    folds = sorted(folds, key=lambda fold: _ms(fold.ended))
    ends = [_ms(fold.ended) for fold in folds]
    seconds = list(accumulate((fold.seconds for fold in folds), initial=0.0))
    gpu_seconds = list(accumulate((_gpu_seconds(fold, gpu) for fold in folds), initial=0.0))
    ended: Counter[str] = Counter()
    best: float | None = None
    for step, row in enumerate(rows, start=1):
        at = _ms(row.ended)
        ended[row.state or ""] += 1
        if row.state == "complete" and row.value is not None and row.trial.competes:
            best = row.value if best is None else max(best, row.value)
        if best is not None:
            yield "best_uf1", round(best, 4), at, step
        for state in ("complete", "pruned", "failed"):
            yield f"trials_{state}", ended[state], at, step
        done = bisect_right(ends, at)
        yield "folds_done", done, at, step
        yield "seconds", round(seconds[done], 4), at, step
        if gpu_seconds[-1]:
            yield "gpu_seconds", round(gpu_seconds[done], 4), at, step


def _trial(prefix: str, row: TrialRow, folds: list[FoldRow], gpu: float, n_classes: int) -> Run:
    config, stage, arm = row.trial.config, row.trial.stage, row.trial.arm
    state = row.state or "running"
    seeds = ", ".join(map(str, row.trial.seeds))
    tags = {
        "stage": stage,
        "arm": arm,
        "seed": seeds,
        "architecture": architecture(config),
        "losolab.config": row.key,
        "losolab.status": state,
        "losolab.trial": str(row.number),
        "losolab.why": row.why,
        "device": folds[0].arithmetic.device if folds else None,
        "node": row.node,
    }
    own = f"{arm}/seed {seeds}" if arm else str(row.number)  # as the report calls it
    return Run(
        key=f"{prefix}/trial/{row.number}",
        name=f"{stage}/{own}",
        began=_ms(row.began),
        ended=None if row.ended is None else _ms(row.ended),
        status=STATUS[state],
        parameters={name: str(level) for name, level in asdict(config).items()}
        | {"architecture": architecture(config)},
        metrics=(*_results(row, folds, gpu), *_sizes(config, n_classes, _ms(row.began)), *_progress(folds)),
        tags={name: value for name, value in tags.items() if value},
        trial=row.number,
    )


def _results(row: TrialRow, folds: list[FoldRow], gpu: float) -> list[Metric]:
    """What a trial that ended reached and cost. The value of a pruned one is what was imputed to it: no result."""
    if row.ended is None:
        return []
    at = _ms(row.ended)
    numbers: dict[str, float] = {}
    if row.state == "complete" and row.value is not None:
        numbers["uf1" if row.trial.config.of_new_subjects else "not_of_new_subjects/uf1"] = row.value
    if folds:
        numbers["seconds"] = sum(fold.seconds for fold in folds)
        numbers["peak_memory"] = max(fold.peak_memory for fold in folds)
    if on_gpu := sum(_gpu_seconds(fold, gpu) for fold in folds):
        numbers["gpu_seconds"] = on_gpu
    return [(name, round(value, 4), at, 0) for name, value in numbers.items()]


def _sizes(config: TrialConfig, n_classes: int, at: int) -> list[Metric]:
    """The network's size, as metrics: MLflow sorts parameters as text."""
    size = known_size(config, n_classes)
    return [("parameters", size.parameters, at, 0), ("multiply_adds", size.multiply_adds, at, 0)] if size else []


def _progress(folds: list[FoldRow]) -> list[Metric]:
    return [("folds_done", n, at, n) for n, at in enumerate(sorted(_ms(fold.ended) for fold in folds), start=1)]


def _gpu_seconds(fold: FoldRow, gpu: float) -> float:
    return 0.0 if fold.arithmetic.device == "cpu" else gpu * fold.seconds


def _ms(seconds: float | None) -> int:
    return round(1000 * (seconds or 0.0))
