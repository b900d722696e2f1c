"""The MLflow UI on a study's store: a small server of our own, or the address of the one that is there."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

from search_spaces.errors import UserError
from study.tracking.mirror_process import Place, place_of_study
from study.tracking.page import runs_address
from study.tracking.runs import study_runs

_START = 180.0  # seconds that a server may take to answer: 10-16 on two cores
_END = 10.0
# One worker and no job runner: 2 processes and 400 MB in place of 10 and 1.5 GB.
_SMALL = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def serve(folder: Path, uri: str | None, port: int, say: Callable[[str], None]) -> None:
    """Print where the study's runs are seen, and where there is no server yet, be one until Ctrl-C."""
    to = place_of_study(folder, uri)
    if to.is_server:
        say(runs_page(str(to), folder))
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    say(f"starting the MLflow server on {to} ...")
    try:
        with served(folder, to, port) as address:
            say(f"{runs_page(address, folder)}\nCtrl-C ends it")
            signal.pause()
    except KeyboardInterrupt:
        say("ended")


@contextmanager
def served(folder: Path, to: Place, port: int) -> Iterator[str]:
    """The address of a server on this store, which ends with the context. Raises UserError where it cannot start."""
    if to.uri.startswith("sqlite:///") and not Path(str(to)).is_file():
        raise UserError(f"{to}: there is no MLflow store yet; make it with: losolab mlflow sync {folder}")
    _refuse_taken(port)
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-P", "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
        server = subprocess.Popen(
            [*command, "--artifacts-destination", str(to.artifacts)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | _SMALL | {"MLFLOW_BACKEND_STORE_URI": to.uri},  # no argument: it may hold a password
            start_new_session=True,
        )
        try:
            _wait(server, address, log)
            yield address
        finally:
            _end(server)


def runs_page(address: str, folder: Path) -> str:
    """The page of a server that shows the study's runs, the best UF1 first."""
    name = study_runs(folder).name
    query = f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(name)}"
    try:
        with urlopen(query, timeout=5) as answer:
            experiment = json.load(answer)["experiment"]
    except HTTPError as error:
        if error.code == 404:
            raise UserError(
                f"{address} has no experiment {name} yet; send it with: losolab mlflow sync {folder}"
            ) from None
        return address  # it asks for a login, which the browser will give
    except (URLError, TimeoutError) as error:
        raise UserError(f"{address}: no MLflow server answers there ({error})") from None
    return runs_address(address, experiment)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used ({error.strerror}); give another one: --port N") from None


def _wait(server: subprocess.Popen[bytes], address: str, log: IO[str]) -> None:
    """Return when the server answers. Raises UserError with its last words where it does not."""
    limit = time.monotonic() + _START
    while server.poll() is None and time.monotonic() < limit:
        try:
            with urlopen(f"{address}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    log.seek(0)
    last = " ".join(log.read().split()[-60:])
    raise UserError(f"the MLflow server did not start: {last}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server with all its workers."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(_END)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
