"""The MLflow mirror: a process of its own that tails a study's ledger. Whatever befalls it, the study does not notice.

`python -m study.tracking.mirror_process FOLDER` mirrors until its standard input closes, which it does when the driver
ends or is killed. The URI comes by MLFLOW_TRACKING_URI and not by argument, for it may hold a password.
"""

import logging
import os
import select
import socket
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from search_spaces.errors import UserError
from study.ledger.lock import take
from study.ledger.schema import has_begun
from study.system.file_locks import locked
from study.tracking.runs import study_runs

if TYPE_CHECKING:
    from study.tracking.mirror import Mirror

_PAUSE, _LONGEST = 3.0, 60.0  # seconds between two looks at the ledger; it doubles while the store does not answer
_SHARE = 0.02  # of a processor that looking may take
_PROBE = 1.5  # seconds that a store may take to answer at all
_PATIENCE = 60.0  # seconds that the last pass may take; `losolab mlflow sync` sends what is left then
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_NICE = 5  # trials go first where processors are few


@dataclass(frozen=True)
class Place:
    """An MLflow store. `artifacts` is None where a server decides."""

    uri: str
    artifacts: Path | None

    @property
    def is_server(self) -> bool:
        return self.uri.startswith(("http://", "https://"))

    def __str__(self) -> str:
        """The store for a person to read: a file's path, or the address without its password."""
        if self.uri.startswith("sqlite:///"):
            return self.uri.removeprefix("sqlite:///")
        parts = urlsplit(self.uri)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def without_password(self, text: str) -> str:
        """What a client says of it: mlflow's names the whole address."""
        return text.replace(self.uri.rstrip("/"), str(self).rstrip("/"))


def place(folder: Path, uri: str | None) -> Place:
    """Where a study that runs now is mirrored to: `uri`, else STORAGE/mlflow.db."""
    storage = folder.absolute().parent
    found = Place(uri or f"sqlite:///{(storage / 'mlflow.db').as_posix()}", storage / "mlartifacts")
    return Place(found.uri, None) if found.is_server else found


def place_of_study(folder: Path, uri: str | None) -> Place:
    """Where a study's runs are: `uri`, else where it was last run to. Raises UserError where there is no study."""
    recorded = study_runs(folder).tracking_uri
    return place(folder, uri or recorded)


def mirror(folder: Path, uri: str | None) -> str:
    """Send once what the store does not have of a study; returns where how many runs are. Raises UserError."""
    to = place_of_study(folder, uri)
    _export(folder)
    with _alone(folder, wait=False):
        try:
            _refuse_silent(to)
            runs = _opened(folder, to).update()
        except UserError:
            raise
        except Exception as error:  # mlflow, sqlalchemy and requests each raise their own
            why = to.without_password(_brief(error))
            raise UserError(f"{to}: not everything could be sent to this MLflow store: {why}") from error
    return f"{runs} runs in {to}"


class Tail:
    """The mirror of a running study: its process, and what it said when it ended."""

    def __init__(self, folder: Path, uri: str | None) -> None:
        self.folder, self.uri = folder, uri
        self.process = self._started()
        self.said = b""

    def end(self) -> None:
        """Let it make its last pass, or where it was killed another one; after a while, or a second Ctrl-C, kill it."""
        try:
            self.said, _ = self.process.communicate(timeout=_PATIENCE)
            if self.process.returncode < 0:
                self.process = self._started()
                self.said, _ = self.process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._close()

    def summary(self) -> str:
        """One line: how many runs are where, or what is missing there and what to do to send it."""
        said = self.said.decode().strip()
        if self.process.returncode == 0:
            return said
        missing = said or "not all runs were sent"
        return f"{missing} (why: {self.folder / 'mirror.log'}); send the rest with: losolab mlflow sync {self.folder}"

    def _started(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "study.tracking.mirror_process", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | ({"MLFLOW_TRACKING_URI": self.uri} if self.uri else {}),
            start_new_session=True,  # Ctrl-C is for the driver, which then lets the mirror make its last pass
        )

    def _close(self) -> None:
        with self.process:  # closes its pipes and waits
            self.process.kill()


@contextmanager
def mirrored(folder: Path, uri: str | None) -> Iterator[Tail]:
    """Mirror a study while it runs. The folder need not be there yet. No error of the mirror's is raised here."""
    tail = Tail(folder, uri)
    try:
        yield tail
    finally:
        tail.end()


def main(folder: Path, uri: str | None) -> int:
    """Mirror until standard input closes; exit code 0 when everything was sent. Errors go to FOLDER/mirror.log."""
    answer, sys.stdout = sys.stdout, sys.stderr
    os.nice(_NICE)
    while not has_begun(folder):
        if _closed(sys.stdin.fileno(), _PAUSE) and not has_begun(folder):
            print("nothing to mirror", file=answer)
            return 0
    to = place(folder, uri)
    with _alone(folder, wait=True):
        whole, runs = _follow(folder, to)
    print(f"{runs} runs in {to}" if whole == runs else f"{whole} of {runs} runs are whole in {to}", file=answer)
    return 0 if whole == runs else 1


def _follow(folder: Path, to: Place) -> tuple[int, int]:
    """Passes over the ledger whenever it changed, and a last one when standard input closes.

    Returns how many runs were sent whole, of how many.
    """
    log = _log(folder)
    store: Mirror | None = None
    sent, complaint, pause, whole, last = None, "", _PAUSE, 0, False
    while not last:
        last = _closed(sys.stdin.fileno(), pause)
        began = time.process_time()
        try:
            if last and complaint:
                store = None  # what came late or twice is found when the store is opened anew
            if (seen := _state(folder)) != sent or store is None:
                if store is None:
                    _refuse_silent(to)
                    store = _opened(folder, to)
                store.update()
                sent = seen
            pause = max(_PAUSE, (time.process_time() - began) / _SHARE)
        except Exception as error:  # whatever it is, the study goes on and the next pass tries again
            pause = min(2 * pause, _LONGEST)
            if (now := _brief(error)) != complaint:
                complaint, trace = now, to.without_password(traceback.format_exc())
                log.error("%s: the runs of %s were not all sent\n%s", to, folder, trace)
            whole = store.whole()[0] if store else whole
            store = None
    return store.whole() if store else (whole, len(study_runs(folder).runs))


def _log(folder: Path) -> logging.Logger:
    log = logging.getLogger("losolab.mirror")
    handler = logging.FileHandler(folder / "mirror.log", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
    return log


def _export(folder: Path) -> None:
    """The tables of a study that was killed before it wrote them; one that runs writes them itself."""
    from study.ledger.export import export

    try:
        lock = take(folder)
    except UserError:
        return
    with lock:
        export(folder)


def _refuse_silent(to: Place) -> None:
    """A store that does not answer at all is found out here: its client would wait longer, a database's for minutes.

    Raises OSError.
    """
    parts = urlsplit(to.uri)
    if to.is_server:
        whoever = ssl.create_default_context()  # the client that sends something will look at the certificate
        whoever.check_hostname, whoever.verify_mode = False, ssl.CERT_NONE
        with suppress(HTTPError):  # an answer, too
            urlopen(f"{str(to).rstrip('/')}/health", timeout=_PROBE, context=whoever).close()
    elif parts.hostname:
        port = parts.port or _PORTS[parts.scheme.partition("+")[0]]
        socket.create_connection((parts.hostname, port), timeout=_PROBE).close()


def _opened(folder: Path, to: Place) -> "Mirror":
    from study.tracking.mirror import Mirror  # mlflow: 2 CPU-seconds and 160 MB

    location = (to.artifacts / folder.name).as_uri() if to.artifacts else None
    return Mirror(folder, to.uri, location)


def _closed(stdin: int, pause: float) -> bool:
    """Whether standard input closes within a pause."""
    readable, _, _ = select.select([stdin], [], [], pause)
    return bool(readable) and not os.read(stdin, 1024)


def _state(folder: Path) -> list[tuple[str, int, int]]:
    """Size and time of every file that the mirror reads: cheap to compare."""
    names = ("ledger.sqlite", "ledger.sqlite-wal", "predictions.parquet", "trials.parquet")
    files = [folder / name for name in names] + sorted((folder / "report").rglob("*"))
    stats = [(path.name, path.stat()) for path in files if path.is_file()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _alone(folder: Path, *, wait: bool) -> TextIO:
    """Hold the lock of a study's mirror: MLflow would let two processes make a run twice."""
    try:
        return locked(folder / "mirror.lock", wait=wait)
    except BlockingIOError:
        raise UserError(f"{folder}: a process is mirroring this study already; wait until it ends") from None


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), os.environ.get("MLFLOW_TRACKING_URI")))
