"""Runs of ended trials, written straight into the tables of an MLflow store that is a database.

MLflow's client looks a run up six times in order to write it once, which is 30 ms of a processor: minutes for a search
of thousands. Here a transaction writes what it would write, of many runs. A server has its own way: it is sent to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Engine, insert

from study.tracking.runs import Metric, Run

NAME = "mlflow.runName"


@dataclass(frozen=True)
class Row:
    """A run with all its metrics, and what MLflow would have given it: an id, and a place for its artifacts."""

    run_id: str
    run: Run
    tags: dict[str, str]
    artifacts: str


def engine_of(client: MlflowClient) -> Engine | None:
    """What a client writes the tables by; None where a server does."""
    store = client._tracking_client.store
    return store.engine if isinstance(store, SqlAlchemyStore) else None


def write(engine: Engine, experiment: str, rows: Sequence[Row]) -> None:
    """All of these new runs or none."""
    tables: dict[Any, list[dict[str, Any]]] = {
        SqlRun: [_run(row, experiment) for row in rows],
        SqlTag: [
            {"run_uuid": row.run_id, "key": name, "value": value}
            for row in rows
            for name, value in {NAME: row.run.name, **row.tags}.items()
        ],
        SqlParam: [
            {"run_uuid": row.run_id, "key": name, "value": value}
            for row in rows
            for name, value in row.run.parameters.items()
        ],
        SqlMetric: [_metric(row, metric) for row in rows for metric in dict.fromkeys(row.run.metrics)],
        SqlLatestMetric: [_metric(row, metric) for row in rows for metric in _latest(row.run.metrics)],
    }
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("pragma busy_timeout = 20000")  # as MLflow waits for another writer
        for table, values in tables.items():
            if values:
                connection.execute(insert(table), values)


def _run(row: Row, experiment: str) -> dict[str, Any]:
    return {
        "run_uuid": row.run_id,
        "name": row.run.name,
        "experiment_id": int(experiment),
        "artifact_uri": row.artifacts,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "user_id": "unknown",
        "status": row.run.status,
        "start_time": row.run.began,
        "end_time": row.run.ended,
        "source_version": "",
        "lifecycle_stage": "active",
    }


def _metric(row: Row, metric: Metric) -> dict[str, Any]:
    name, value, time, step = metric
    return {"run_uuid": row.run_id, "key": name, "value": value, "timestamp": time, "step": step, "is_nan": False}


def _latest(metrics: Sequence[Metric]) -> list[Metric]:
    """Of each name the metric of the last step, of one step the later, of one time the larger."""
    last: dict[str, Metric] = {}
    for name, value, time, step in metrics:
        _, *before = last.get(name, (name, -float("inf"), -1, -1))
        if (step, time, value) > tuple(reversed(before)):
            last[name] = (name, value, time, step)
    return list(last.values())
