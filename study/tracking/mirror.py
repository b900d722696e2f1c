"""A study's runs in an MLflow store, sent so that sending again adds nothing.

Importing mlflow costs 2 CPU-seconds and 160 MB: only a process that mirrors imports this module.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

# Read by mlflow when it is used. Its own retries would hold a study's end up for minutes when a server is gone.
os.environ |= {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
} | os.environ

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Experiment, Metric, Param, Run, RunTag, ViewType

from search_spaces.digests import digest
from search_spaces.errors import UserError
from study.system.file_locks import locked
from study.tracking.database import Row, engine_of, write
from study.tracking.metrics import counts, picture, scored
from study.tracking.page import experiment_tags
from study.tracking.runs import STATUS, StudyRuns, study_runs
from study.tracking.runs import Run as Wanted

KEY, SENT, ARTIFACTS, PARENT = "losolab.key", "losolab.sent", "losolab.artifacts", "mlflow.parentRunId"
_PAGE = 1000
_BATCH = 800  # metrics in a request, which holds at most 1,000 of everything
_RUNS = 100  # in a transaction
_NUMBERED = re.compile(r"[a-z]+/\d+")  # a name of a trial that no user gave it
_DIGEST = 36  # characters that MLflow keeps of a dataset's digest


@dataclass
class There:
    """A run as the store has it: what was sent when it was last sent whole."""

    run_id: str
    active: bool = True  # False: the user deleted it, and so it stays
    status: str = "RUNNING"
    sent: str = ""
    metrics: frozenset[tuple[str, float, int, int]] = frozenset()
    name: str = ""  # where an older losolab made it: search/9 was the number within the stage


class Mirror:
    """A study's experiment in a store, and what is known to be there. After an error, make a new one.

    MLflow gives out run ids itself, so a run is found by its tag `losolab.key`; `losolab.sent` is set last, to the
    digest of what was sent. Raises UserError, mlflow's MlflowException and the store's own errors.
    """

    def __init__(self, folder: Path, uri: str, artifact_location: str | None) -> None:
        self.folder = folder
        _make(uri)
        self.client = MlflowClient(uri)
        self.engine = engine_of(self.client)
        study = study_runs(folder)
        found = self._found_or_made(study, artifact_location)
        self.experiment, self.tags = str(found.experiment_id), dict(found.tags)
        self.artifact_location = found.artifact_location.rstrip("/")
        at = urlsplit(self.artifact_location)
        self.artifacts_in = Path(url2pathname(at.path)) if at.scheme == "file" else None
        self.artifacts: dict[str, str] = {}
        self.runs = self._found(study)

    def update(self) -> int:
        """Send what the store does not have; returns how many runs the study has there."""
        study = study_runs(self.folder)
        parent = study.runs[0].key
        self._set_view(study)
        self._write_new(study)
        for run in study.runs:
            there = self.runs.get(run.key) or self._create(run, study)
            if there.active and there.sent != self._mark(run, parent):
                self._send(run, there, study)
        if self.runs[parent].active:
            self._send_artifacts(self.runs[parent].run_id, study.file)
        return len(study.runs)

    def whole(self) -> tuple[int, int]:
        """How many of the study's runs were sent whole, or deleted by the user, and how many it has."""
        runs = study_runs(self.folder).runs
        there = [(run, self.runs[run.key]) for run in runs if run.key in self.runs]
        return sum(not t.active or t.sent == self._mark(run, runs[0].key) for run, t in there), len(runs)

    def _write_new(self, study: StudyRuns) -> None:
        """Trials that ended before the store knew of them, where it is a database with its artifacts in a folder."""
        own, *trials = study.runs
        new = [run for run in trials if run.status != "RUNNING" and run.key not in self.runs]
        if not new or self.artifacts_in is None or self.engine is None:
            return
        if own.key not in self.runs:
            self._create(own, study)
        for start in range(0, len(new), _RUNS):
            rows = [self._row(run, study) for run in new[start : start + _RUNS]]
            write(self.engine, self.experiment, rows)
            for row in rows:
                sent = row.tags[SENT]
                self.runs[row.run.key] = There(row.run_id, True, row.run.status, sent, frozenset(row.run.metrics))

    def _row(self, run: Wanted, study: StudyRuns) -> Row:
        """A new run as it will be, its picture in its place already: a run that says that it was sent is whole."""
        assert self.artifacts_in is not None
        run_id = uuid4().hex
        folder = self.artifacts_in / run_id / "artifacts"
        whole = run
        if run.status in (STATUS["complete"], STATUS["pruned"]):
            found = counts(self.folder, run)
            whole = scored(run, found)
        if run.status == STATUS["complete"]:
            folder.mkdir(parents=True)
            (folder / "confusion.svg").write_text(picture(run, found, study.classes), encoding="utf-8")
        mark = self._mark(run, study.runs[0].key)
        tags = {KEY: run.key} | run.tags | self._above(run, study) | {SENT: mark}
        return Row(run_id, whole, tags, f"{self.artifact_location}/{run_id}/artifacts")

    def _found_or_made(self, study: StudyRuns, artifact_location: str | None) -> Experiment:
        found = self.client.get_experiment_by_name(study.name)
        if found is None:
            note = {"mlflow.note.content": study.question}
            made = self.client.create_experiment(study.name, artifact_location, note)
            return self.client.get_experiment(made)
        if found.lifecycle_stage != "active":
            raise UserError(
                f"MLflow experiment {study.name} was deleted; restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or give the study a new name"
            )
        return found

    def _found(self, study: StudyRuns) -> dict[str, There]:
        """The study's runs by key. A request that was cut off may have made a run twice: one of them stays.

        It may also have come late, over what was sent after it: only what is as it should be counts as sent.
        """
        wanted = {run.key: run for run in study.runs}
        runs: dict[str, There] = {}
        for run in sorted(self._search(f"tags.`{KEY}` LIKE '{study.prefix}/%'"), key=_worth):
            key, active, tags = run.data.tags[KEY], _is_active(run), run.data.tags
            if key not in runs:
                sent = tags.get(SENT, "") if key in wanted and _is_as(wanted[key], run) else ""
                runs[key] = There(run.info.run_id, active, run.info.status, sent)
                runs[key].name = run.info.run_name if _NUMBERED.fullmatch(run.info.run_name or "") else ""
                self.artifacts |= json.loads(tags.get(ARTIFACTS, "{}"))
            elif active:
                self.client.delete_run(run.info.run_id)
        return runs

    def _search(self, condition: str) -> Iterator[Run]:
        token = None
        while True:
            page = self.client.search_runs([self.experiment], condition, ViewType.ALL, _PAGE, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _set_view(self, study: StudyRuns) -> None:
        for name, value in experiment_tags(study.factors).items():
            if self.tags.get(name) != value:
                self.client.set_experiment_tag(self.experiment, name, value)
                self.tags[name] = value

    def _create(self, run: Wanted, study: StudyRuns) -> There:
        made = self.client.create_run(self.experiment, run.began, {KEY: run.key} | self._above(run, study), run.name)
        there = self.runs.setdefault(run.key, There(made.info.run_id))
        if run.trial is None:
            data = Dataset(study.dataset, study.dataset_digest[:_DIGEST], "losolab", json.dumps({"study": study.name}))
            self.client.log_inputs(there.run_id, [DatasetInput(data)])
        return there

    def _above(self, run: Wanted, study: StudyRuns) -> dict[str, str]:
        return {} if run.trial is None else {PARENT: self.runs[study.runs[0].key].run_id}

    def _send(self, run: Wanted, there: There, study: StudyRuns) -> None:
        """The store writes the parts of a batch in the order parameters, metrics, tags: the mark is the last of all."""
        whole = run
        if run.trial is not None and run.status in (STATUS["complete"], STATUS["pruned"]):
            found = counts(self.folder, run)
            whole = scored(run, found)
        if run.trial is not None and run.status == STATUS["complete"]:
            self.client.log_text(there.run_id, picture(run, found, study.classes), "confusion.svg")
        if run.status != "RUNNING":
            self.client.set_terminated(there.run_id, run.status, run.ended)
        elif there.status != "RUNNING":
            self.client.update_run(there.run_id, "RUNNING")
        if there.name and there.name != run.name:
            self.client.update_run(there.run_id, name=run.name)
        mark = self._mark(run, study.runs[0].key)
        tags = run.tags | self._above(run, study) | {SENT: mark}
        metrics = [Metric(*metric) for metric in whole.metrics if metric not in there.metrics]
        while len(metrics) > _BATCH:
            self.client.log_batch(there.run_id, metrics=metrics[:_BATCH])
            metrics = metrics[_BATCH:]
        self.client.log_batch(
            there.run_id,
            metrics=metrics,
            params=[Param(*parameter) for parameter in run.parameters.items()],
            tags=[RunTag(*tag) for tag in tags.items()],
        )
        there.status, there.metrics, there.sent = run.status, frozenset(whole.metrics), mark

    def _mark(self, run: Wanted, parent: str) -> str:
        """What the tag of a run that was sent whole says."""
        return digest([run.digest(), self.runs[parent].run_id])

    def _send_artifacts(self, run_id: str, study_file: str) -> None:
        """The study's file, its exported tables and its report, each when its content is another than the store's."""
        before = dict(self.artifacts)
        self.artifacts["study.yaml"] = hashlib.sha256(study_file.encode()).hexdigest()[:12]
        if self.artifacts["study.yaml"] != before.get("study.yaml"):
            self.client.log_text(run_id, study_file, "study.yaml")
        for path in _files(self.folder):
            name = path.relative_to(self.folder).as_posix()
            self.artifacts[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            if self.artifacts[name] != before.get(name):
                self.client.log_artifact(run_id, str(path), name.rpartition("/")[0] or None)
        if self.artifacts != before:
            self.client.set_tag(run_id, ARTIFACTS, json.dumps(self.artifacts))


def _make(uri: str) -> None:
    """Make a SQLite store that is not there yet by one process at a time, and whole or not at all.

    MLflow's own tables come by 60 migrations, which neither a second process nor a kill in their midst survives.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if path.exists():
            return
        unfinished = path.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        MlflowClient(f"sqlite:///{unfinished / path.name}").search_experiments()
        (unfinished / path.name).rename(path)
        shutil.rmtree(unfinished)


def _files(folder: Path) -> list[Path]:
    tables = [path for name in ("predictions.parquet", "trials.parquet") if (path := folder / name).is_file()]
    return tables + sorted(path for path in (folder / "report").rglob("*") if path.is_file())


def _is_as(wanted: Wanted, run: Run) -> bool:
    """Whether the store has a run's status, parameters and tags as they should be."""
    return (
        run.info.status == wanted.status
        and run.data.params == wanted.parameters
        and wanted.tags.items() <= run.data.tags.items()
    )


def _worth(run: Run) -> tuple[bool, bool, str]:
    """Sort key of runs with one key: the active one is kept, else the completely sent, else the smallest id."""
    return not _is_active(run), SENT not in run.data.tags, run.info.run_id


def _is_active(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "active")
