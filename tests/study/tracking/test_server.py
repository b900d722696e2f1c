"""A study and a real MLflow server that dies, freezes, loses replies or never comes up: the study does not notice."""

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_up_study import (
    assert_as_in_the_ledger,
    begin,
    every_state,
    in_store,
    served,
    train,
    wait_for,
)

from analysis.results.load import load_results
from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.ledger.writer import Ledger, Outcome
from study.tracking.mirror_process import mirror, mirrored

pytestmark = pytest.mark.slow
COMPLETE = Outcome("complete", 3, 0.8222)
CHANGES = ("/create", "/log-batch", "/update", "/log-inputs", "/set-experiment-tag", "/set-tag")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all whose server stays as it was; starting one takes ten seconds and more."""
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server


def add(ledger: Ledger, arms: range, seeds: tuple[int, ...] = (3000,)) -> None:
    for n in arms:
        train(ledger, ledger.propose("ablate", f"arm {n}", TrialConfig(hidden=100 + n), seeds), COMPLETE)


def runs_of(server) -> int:
    """How many runs a server's store has, read behind its back."""
    db = sqlite3.connect(f"file:{Path(server.log.name).with_name('server.db')}?mode=ro", uri=True, timeout=60)
    try:
        return db.execute("select count(*) from runs").fetchone()[0]
    finally:
        db.close()


def test_the_server_is_killed_three_times_and_the_experiment_is_complete(tmp_path):
    folder = tmp_path / "study"
    with served(tmp_path / "server") as server:
        with mirrored(folder, server.address) as tail, Ledger(folder) as ledger:
            begin(ledger)
            for kill in range(3):
                before = runs_of(server)
                add(ledger, range(10 * kill, 10 * kill + 10))
                wait_for(lambda before=before: runs_of(server) > before)  # it is sending now
                server.kill()
                add(ledger, range(10 * kill + 100, 10 * kill + 102))
                server.start()
                server.wait()
        assert tail.summary() == f"37 runs in {server.address}"
        assert (folder / "mirror.log").read_text().count("were not all sent") >= 1
        assert_as_in_the_ledger(folder, server.address)


def test_a_frozen_server_holds_nothing_up_and_what_it_does_late_is_put_right(tmp_path, server):
    """It does what it was asked for before it froze when it thaws, after the mirror has given up."""
    folder = tmp_path / "frozen"
    before = runs_of(server)
    with mirrored(folder, server.address) as tail, Ledger(folder) as ledger:
        begin(ledger)
        add(ledger, range(12))
        wait_for(lambda: runs_of(server) > before)
        server.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            add(ledger, range(12, 20))
            assert time.monotonic() - began < 20  # the frozen server would hold them up until it thaws
            tail.end()
            assert time.monotonic() - began < 55  # a time-out of 5 s, a probe of 1.5 s, a busy machine
        finally:
            server.signal(signal.SIGCONT)
    assert "of 21 runs are whole in" in tail.summary() and f"losolab mlflow sync {folder}" in tail.summary()
    assert mirror(folder, server.address) == f"21 runs in {server.address}"
    assert_as_in_the_ledger(folder, server.address)


def test_replies_are_lost_and_requests_come_late(tmp_path, server):
    folder = tmp_path / "lossy"
    every_state(folder)
    with lossy(server.port) as proxy:
        sent = ""
        for _ in range(60):
            with contextlib.suppress(UserError):
                sent = sent or mirror(folder, proxy.address)
        assert sent == f"6 runs in {proxy.address}"
        assert {"lost", "late"} <= proxy.done
        time.sleep(1.5)  # what is late arrives
    mirror(folder, server.address)
    assert_as_in_the_ledger(folder, server.address)


def test_a_server_that_accepts_and_never_answers(tmp_path):
    folder = tmp_path / "silent"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with mirrored(folder, address) as tail:
            every_state(folder)
            time.sleep(4)  # it has tried once
            began = time.monotonic()
        assert time.monotonic() - began < 20
    assert tail.summary().startswith(f"0 of 6 runs are whole in {address}")
    assert f"losolab mlflow sync {folder}" in tail.summary()
    mirror(folder, f"sqlite:///{tmp_path}/elsewhere.db")
    assert_as_in_the_ledger(folder, f"sqlite:///{tmp_path}/elsewhere.db")


def test_the_tables_come_back_number_for_number(tmp_path, server):
    folder = tmp_path / "sixty"
    with Ledger(folder) as ledger:
        begin(ledger, arms=[f"arm {n}" for n in range(60)])
        add(ledger, range(60), seeds=(3000, 3001, 3002))
    mirror(folder, server.address)
    began = time.perf_counter()
    there = load_results(f"mlflow:{server.address}#sixty")
    seconds = time.perf_counter() - began
    print(f"60 trials, {len(there.predictions)} predictions through HTTP: {seconds:.2f} s")
    here = load_results(folder)
    assert there.predictions.equals(here.predictions) and there.trials == here.trials
    assert there.metadata == here.metadata and len(there.trials) == 60
    assert seconds < 10  # 2 on a machine with nothing else to do


def test_no_process_of_the_study_but_the_mirror_talks_to_mlflow(small, tmp_path):
    """Every import of mlflow and every connection of every process is written down; the server never answers."""
    log = tmp_path / "watched"
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        watch = {"PYTHONPATH": path, "WATCHED": str(log), "WATCHED_PORT": str(port)}
        study = small.start(
            "--slots", "2", "--trials", "3", "--seeds", "1", "--tracking-uri", f"http://127.0.0.1:{port}", env=watch
        )
        printed, _ = study.communicate(timeout=300)
    assert study.returncode == 0, printed
    assert "0 of" in printed and "losolab mlflow sync" in printed
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    trained = {one["pid"] for one in seen if one["what"] == "import torch"}
    mirrors = {one["pid"] for one in seen if one["what"] in ("import mlflow", f"connect {port}")}
    assert len(trained) >= 2, "the driver's workers were not watched"
    assert len(mirrors) == 1 and not mirrors & trained and study.pid not in mirrors
    assert all("study.tracking.mirror_process" in one["command"] for one in seen if one["pid"] in mirrors)
    small_uri = f"sqlite:///{tmp_path}/later.db"
    assert "runs in" in mirror(small.folder, small_uri)
    assert in_store(small.folder, small_uri)["study"]["status"] == "FINISHED"


WATCH = """
import json, os, sys
def watch(event, given):
    what = None
    if event == "import" and given[0].startswith(("mlflow.", "torch.")):  # the parts of it: there is no stopping now
        what = f"import {given[0].partition('.')[0]}"
    elif event == "socket.connect" and isinstance(given[1], tuple) and str(given[1][1]) == os.environ["WATCHED_PORT"]:
        what = f"connect {given[1][1]}"
    if what:
        line = json.dumps({"pid": os.getpid(), "what": what, "command": " ".join(sys.orig_argv)}) + "\\n"
        file = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)
sys.addaudithook(watch)
"""


class lossy:  # noqa: N801 - used as a context, like a function
    """A proxy to a server: of the requests that change something every fifth loses its reply, and as many come late."""

    def __init__(self, port: int) -> None:
        self.done: set[str] = set()
        proxy, draw = self, random.Random("lossy")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fate = draw.choice(["lost", "late", "", "", ""]) if self.path.endswith(CHANGES) else ""
                proxy.done.add(fate)
                self.close_connection = bool(fate)
                if fate == "late":
                    threading.Timer(1.0, self._forward, [body]).start()
                    return
                answer, content = self._forward(body)
                if fate == "lost":
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def _forward(self, body: bytes):
                server = HTTPConnection("127.0.0.1", port, timeout=60)
                kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                server.request(self.command, self.path, body, kept)
                answer = server.getresponse()
                return answer, answer.read()

            def log_message(self, *_) -> None:
                """Nothing: the tests' output is no access log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "lossy":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
