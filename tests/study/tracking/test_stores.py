"""Several studies in one store, and a store in PostgreSQL."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from made_up_study import assert_as_in_the_ledger, begin, every_state, free_port, in_store, train

from search_spaces.config import TrialConfig
from study.ledger.writer import Ledger, Outcome
from study.tracking.mirror_process import mirror, mirrored

FOUND = [*sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")), *map(Path, filter(None, [shutil.which("initdb")]))]


def grow(folder: Path, trials: int) -> None:
    """A study that goes on while its mirror works: a fold a block."""
    with Ledger(folder) as ledger:
        begin(ledger)
        for n in range(trials):
            trial = ledger.propose("ablate", f"arm {n}", TrialConfig(hidden=100 + n), (3000,))
            for subject in ("p", "q"):
                train(ledger, trial, None, (subject,))
            train(ledger, trial, Outcome("complete", 3, 0.8222), ("r",))


@pytest.mark.slow
def test_two_studies_at_once_in_one_new_sqlite_store(tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]
    with contextlib.ExitStack() as stack:
        tails = [stack.enter_context(mirrored(folder, None)) for folder in folders]
        for folder in folders:
            grow(folder, 15)
    for folder, tail in zip(folders, tails, strict=True):
        assert tail.summary() == f"16 runs in {tmp_path / 'mlflow.db'}"
        assert not (folder / "mirror.log").exists(), (folder / "mirror.log").read_text()
        assert_as_in_the_ledger(folder)


@pytest.fixture(scope="module")
def postgres():
    """The address of a database in a cluster of its own."""
    pytest.importorskip("psycopg2")
    if not FOUND:
        pytest.skip("needs PostgreSQL (Debian package postgresql)")
    # PostgreSQL refuses root, and its user may not enter pytest's folders.
    own = {"user": "nobody"} if os.getuid() == 0 else {}
    folder, port = Path(tempfile.mkdtemp(prefix="losolab-postgres-")), free_port()
    if own:
        shutil.chown(folder, "nobody")

    def run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, **own)
        assert done.returncode == 0, done.stdout + done.stderr

    data, server = folder / "data", str(FOUND[0].with_name("pg_ctl"))
    run(str(FOUND[0]), "-D", str(data), "-U", "losolab", "-A", "trust", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(server, "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg2://losolab@127.0.0.1:{port}/postgres"
    finally:
        run(server, "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_study_in_postgresql(postgres, tmp_path):
    folder = tmp_path / "study"
    with mirrored(folder, postgres) as tail:
        every_state(folder)
    assert tail.summary() == f"6 runs in {postgres.replace('losolab@', '')}"
    assert not (folder / "mirror.log").exists(), (folder / "mirror.log").read_text()
    assert_as_in_the_ledger(folder, postgres)
    once = in_store(folder, postgres)
    assert mirror(folder, postgres) == tail.summary()
    assert in_store(folder, postgres) | {"study": None} == once | {"study": None}
