"""The tables of a study that was mirrored to an MLflow experiment: artifacts of the study's run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX, _SQLITE = "mlflow:", "sqlite:///"
ARTIFACTS = "losolab.artifacts"  # the tag of the run that holds a study's tables
TABLES = ("predictions.parquet", "trials.parquet")


def download(address: str, folder: Path) -> None:
    """Fetch the tables of `mlflow:EXPERIMENT` (at MLFLOW_TRACKING_URI) or `mlflow:URI#EXPERIMENT` into a folder.

    Raises UserError where there are none, ModuleNotFoundError without mlflow, which the plain install lacks.
    """
    # Its seven retries would take four minutes to say that a server is away.
    usual = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    os.environ |= usual | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"} | os.environ
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri, _, name = address.removeprefix(PREFIX).rpartition("#")
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise UserError(f"{address}: no tracking URI; write mlflow:URI#{name}, or set MLFLOW_TRACKING_URI")
    if uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).is_file():  # mlflow would make one
        raise UserError(f"{address}: there is no MLflow store {uri.removeprefix(_SQLITE)}")
    try:
        _download(MlflowClient(uri), address, name, folder)
    except MlflowException as error:
        why = str(error).splitlines()[0].replace(uri, "the server")  # it may hold a password
        raise UserError(
            f"{address}: MLflow cannot read it ({why}); expected mlflow:URI#EXPERIMENT with a "
            "URI such as sqlite:///mlflow.db or https://host"
        ) from None


def _download(client: "MlflowClient", address: str, name: str, folder: Path) -> None:
    found = client.get_experiment_by_name(name)
    if found is None:
        known = ", ".join(sorted(one.name for one in client.search_experiments())) or "none"
        raise UserError(f"{address}: no experiment {name!r} there; there are: {known}")
    runs = client.search_runs([found.experiment_id], f"tags.`{ARTIFACTS}` LIKE '%{TABLES[0]}%'", max_results=1)
    if not runs:
        raise UserError(f"{address}: no run holds {' and '.join(TABLES)}; `losolab sync` sends them")
    for table in TABLES:
        client.download_artifacts(runs[0].info.run_id, table, str(folder))
