"""The tables of a study that was mirrored to an MLflow experiment: artifacts of the study's run."""

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from search_spaces.errors import UserError
from search_spaces.files import wrong_kind

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "mlflow:"
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_EXPECTED = "expected mlflow:URI#EXPERIMENT with a URI such as sqlite:///mlflow.db or https://host"
_PROBE = 3.0  # seconds in which a host must take a connection
_MAGIC = b"SQLite format 3\0"
ARTIFACTS = "losolab.artifacts"  # the tag of the run that holds a study's tables
TABLES = ("predictions.parquet", "trials.parquet")


def download(address: str, folder: Path) -> None:
    """Fetch the tables of `mlflow:EXPERIMENT` (at MLFLOW_TRACKING_URI) or `mlflow:URI#EXPERIMENT` into a folder.

    Raises UserError where there are none, ModuleNotFoundError without mlflow, which the plain install lacks.
    """
    uri, _, name = address.removeprefix(PREFIX).rpartition("#")
    said = f"{PREFIX}{_without_password(uri)}#{name}" if uri else address
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if problem := _problem(uri, name):
        raise UserError(f"{said}: {problem}")
    # Its seven retries would take four minutes to say that a server is away.
    usual = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    os.environ |= usual | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"} | os.environ
    from mlflow import MlflowClient

    try:
        _download(MlflowClient(uri), said, name, folder)
    except UserError:
        raise
    except Exception as error:  # mlflow, sqlalchemy and requests each raise their own
        lines = str(error).splitlines() or [type(error).__name__]
        why = lines[0].replace(uri, "the server")  # it may hold a password
        raise UserError(f"{said}: MLflow cannot read it ({why}); {_EXPECTED}") from None


def _problem(uri: str, name: str) -> str | None:
    """What of an address can be told to be wrong before mlflow is asked, which would wait long or make a store."""
    if not name.strip():
        return f"names no experiment; {_EXPECTED}"
    if not uri:
        return f"no tracking URI; write mlflow:URI#{name}, or set MLFLOW_TRACKING_URI"
    try:
        parts = urlsplit(uri)
        host, port, scheme = parts.hostname, parts.port, parts.scheme.partition("+")[0]
    except ValueError as error:
        return f"MLflow cannot read it ({error}); {_EXPECTED}"
    if scheme == "sqlite":
        return _problem_of_file(uri.partition(":///")[2])
    if "databricks" in (uri, scheme):
        return None
    if scheme in ("", "file"):
        return None if Path(parts.path).is_dir() else f"there is no MLflow store {parts.path}; {_EXPECTED}"
    if scheme in _PORTS:
        return _problem_of_host(uri, scheme, host, port or _PORTS[scheme])
    return f"MLflow cannot read it ({scheme}); {_EXPECTED}"


def _problem_of_host(uri: str, scheme: str, host: str | None, port: int) -> str | None:
    if not host:
        return f"MLflow cannot read it (no host); {_EXPECTED}"
    if not scheme.startswith("http") and (problem := _problem_of_driver(uri)):
        return problem
    try:
        socket.create_connection((host, port), timeout=_PROBE).close()
    except (OSError, UnicodeError) as error:
        return f"MLflow cannot read it ({host} does not answer: {error}); {_EXPECTED}"
    return None


def _problem_of_file(name: str) -> str | None:
    path = Path(name)
    if not name or not path.exists():  # mlflow would make one
        return f"there is no MLflow store {name}"
    if kind := wrong_kind(path):
        return f"{path} is {kind}; expected: a SQLite file that MLflow has written"
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return f"{path} is no SQLite file; expected: one that MLflow has written"
    return None


def _problem_of_driver(uri: str) -> str | None:
    """A database's URI names the package that speaks to it, or leaves it to sqlalchemy; that it is not installed."""
    if find_spec("sqlalchemy") is None:  # nor is mlflow, then
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ModuleNotFoundError as missing:
        return f"its database needs the Python package {missing.name}, which is not installed"
    except SQLAlchemyError as error:
        return f"MLflow cannot read it ({str(error).splitlines()[0].replace(uri, 'the server')}); {_EXPECTED}"
    return None


def _without_password(uri: str) -> str:
    start, slashes, rest = uri.partition("://")
    host, *path = rest.split("/", 1)
    return start + slashes + "/".join([host.rpartition("@")[2], *path])


def _download(client: "MlflowClient", said: str, name: str, folder: Path) -> None:
    found = client.get_experiment_by_name(name)
    if found is None:
        known = ", ".join(sorted(one.name for one in client.search_experiments())) or "none"
        raise UserError(f"{said}: no experiment {name!r} there; there are: {known}")
    runs = client.search_runs([found.experiment_id], f"tags.`{ARTIFACTS}` LIKE '%{TABLES[0]}%'", max_results=1)
    if not runs:
        raise UserError(f"{said}: no run holds {' and '.join(TABLES)}; `losolab mlflow sync` sends them")
    for table in TABLES:
        client.download_artifacts(runs[0].info.run_id, table, str(folder))
