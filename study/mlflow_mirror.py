"""A study's runs in an MLflow store, sent so that sending again adds nothing.

Importing mlflow costs 2 CPU-seconds and 160 MB: only a process that mirrors imports this module.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Read by mlflow when it is used. Its own retries would hold a study's end up for minutes when a server is gone.
os.environ |= {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
} | os.environ

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag, ViewType

from search_spaces.errors import UserError
from study.mlflow_runs import Run as Wanted
from study.mlflow_runs import StudyRuns, scored, study_runs

KEY, SENT, ARTIFACTS = "losolab.key", "losolab.sent", "losolab.artifacts"
_PAGE = 1000


@dataclass
class There:
    """A run as the store has it: what was sent when it was last sent whole."""

    run_id: str
    active: bool = True  # False: the user deleted it, and so it stays
    status: str = "RUNNING"
    sent: str = ""
    metrics: frozenset[tuple[str, float, int, int]] = frozenset()


class Mirror:
    """A study's experiment in a store, and what is known to be there. After an error, make a new one.

    MLflow gives out run ids itself, so a run is found by its tag `losolab.key`; `losolab.sent` is set last, to the
    digest of what was sent. Raises UserError, mlflow's MlflowException and the store's own errors.
    """

    def __init__(self, folder: Path, uri: str, artifact_location: str | None) -> None:
        self.folder = folder
        self.client = MlflowClient(uri)
        study = study_runs(folder)
        self.experiment = self._experiment(study, artifact_location)
        self.artifacts: dict[str, str] = {}
        self.runs = self._found(study)

    def update(self) -> int:
        """Send what the store does not have; returns how many runs the study has there."""
        study = study_runs(self.folder)
        for run in study.runs:
            there = self.runs.get(run.key) or self._create(run, study)
            if there.active and there.sent != run.digest():
                self._send(scored(self.folder, run, study.classes), there)
                self._mark(there, run)
        if (parent := self.runs[study.runs[0].key]).active:
            self._send_artifacts(parent.run_id, study.file)
        return len(study.runs)

    def _experiment(self, study: StudyRuns, artifact_location: str | None) -> str:
        found = self.client.get_experiment_by_name(study.name)
        if found is None:
            note = {"mlflow.note.content": study.question}
            return str(self.client.create_experiment(study.name, artifact_location, note))
        if found.lifecycle_stage != "active":
            raise UserError(
                f"MLflow experiment {study.name} was deleted; restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or give the study a new name"
            )
        return str(found.experiment_id)

    def _found(self, study: StudyRuns) -> dict[str, There]:
        """The study's runs by key. A request that was cut off may have made a run twice: one of them stays."""
        runs: dict[str, There] = {}
        for run in sorted(self._search(f"tags.`{KEY}` LIKE '{study.prefix}/%'"), key=_worth):
            key, active = run.data.tags[KEY], _is_active(run)
            if key not in runs:
                runs[key] = There(run.info.run_id, active, run.info.status, run.data.tags.get(SENT, ""))
                self.artifacts |= json.loads(run.data.tags.get(ARTIFACTS, "{}"))
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

    def _create(self, run: Wanted, study: StudyRuns) -> There:
        tags = {KEY: run.key}
        if run.trial is not None:
            tags["mlflow.parentRunId"] = self.runs[study.runs[0].key].run_id
        made = self.client.create_run(self.experiment, run.began, tags, run.name)
        return self.runs.setdefault(run.key, There(made.info.run_id))

    def _send(self, run: Wanted, there: There) -> None:
        self.client.log_batch(
            there.run_id,
            metrics=[Metric(*metric) for metric in run.metrics if metric not in there.metrics],
            params=[Param(*parameter) for parameter in run.parameters.items()],
            tags=[RunTag(*tag) for tag in run.tags.items()],
        )
        if run.status != "RUNNING":
            self.client.set_terminated(there.run_id, run.status, run.ended)
        elif there.status != "RUNNING":
            self.client.update_run(there.run_id, "RUNNING")
        there.status, there.metrics = run.status, frozenset(run.metrics)

    def _mark(self, there: There, run: Wanted) -> None:
        self.client.set_tag(there.run_id, SENT, run.digest())
        there.sent = run.digest()

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


def _files(folder: Path) -> list[Path]:
    tables = [path for name in ("predictions.parquet", "trials.parquet") if (path := folder / name).is_file()]
    return tables + sorted(path for path in (folder / "report").rglob("*") if path.is_file())


def _worth(run: Run) -> tuple[bool, bool, str]:
    """Of two runs with one key the first in this order stays: active, sent whole, then any rule that never changes."""
    return not _is_active(run), SENT not in run.data.tags, run.info.run_id


def _is_active(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "active")
