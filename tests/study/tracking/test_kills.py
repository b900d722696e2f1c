"""The mirror is killed at random moments, time and again, while the study goes on: the experiment is the same."""

import contextlib
import multiprocessing
import random
import signal
import time

import pytest
from made_up_study import SUBJECTS, assert_as_in_the_ledger, begin, train

from search_spaces.config import TrialConfig
from study.ledger.writer import Ledger, Outcome
from study.tracking.mirror_process import mirror

KILLS = 20
OUTCOMES = (
    Outcome("complete", 6, 0.8222),
    Outcome("pruned", 4, 0.5),
    Outcome("failed", 2, None, "ValueError: no"),
    None,
)


@pytest.mark.slow
def test_killed_twenty_times_at_random_moments(tmp_path):
    """Forked from a process that has imported mlflow: a mirror that starts in no time dies in its work."""
    folder, draw = tmp_path / "killed", random.Random("the mirror is killed")
    # Not from this one, in which other tests have left threads and connections.
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["study.tracking.mirror_process", "study.tracking.mirror"])
    ended, longest = [], 3.0  # seconds; the first ones die while the store is being made
    with Ledger(folder) as ledger:
        begin(ledger)
        for n in range(KILLS):
            _advance(ledger, n)
            process = fork.Process(target=mirror, args=(folder, None))
            began = time.monotonic()
            process.start()
            process.join(draw.uniform(0, longest))
            if process.exitcode == 0:  # the next ones die in less than it took
                longest = 0.7 * (time.monotonic() - began)
            process.kill()
            process.join()
            ended.append(process.exitcode)
    assert ended.count(-signal.SIGKILL) > KILLS / 2, f"most had ended before they were killed: {ended}"
    mirror(folder, None)
    assert_as_in_the_ledger(folder)


def _advance(ledger: Ledger, n: int) -> None:
    """A trial more, in some state; and the one that was left running ends."""
    trial = ledger.propose("ablate", f"arm {n}", TrialConfig(hidden=100 + n), (3000, 3001))
    outcome = OUTCOMES[n % len(OUTCOMES)]
    train(ledger, trial, outcome, SUBJECTS[: outcome.kept // 2 if outcome else 1])
    if n and OUTCOMES[(n - 1) % len(OUTCOMES)] is None:
        left = next(own for own in ledger.trials() if own.arm == f"arm {n - 1}")
        train(ledger, left, OUTCOMES[0])


def test_every_request_loses_its_reply(tmp_path):
    """The store has done what it was asked for, and the mirror does not know: it begins anew after every request."""
    from study.tracking.mirror import Mirror

    folder = tmp_path / "interrupted"
    with Ledger(folder) as ledger:
        begin(ledger)
        for n in range(4):
            _advance(ledger, n)
    uri, location = f"sqlite:///{tmp_path}/mlflow.db", (tmp_path / "artifacts").as_uri()
    attempts, whole = 0, False
    cut: set[str] = set()
    while not whole:
        attempts += 1
        store = Mirror(folder, uri, location)
        store.client, store.engine = Cut(store.client, cut), None  # by requests alone, as to a server
        with contextlib.suppress(ConnectionError):
            whole = store.update() == 5
    assert attempts > 15
    assert_as_in_the_ledger(folder, uri)


def test_the_mirror_ends_after_each_transaction(tmp_path, monkeypatch):
    """What a transaction has written is there with its tables and pictures, and is not written again."""
    from study.tracking import mirror as mlflow_mirror
    from study.tracking.database import write

    folder = tmp_path / "interrupted"
    with Ledger(folder) as ledger:
        begin(ledger)
        for n in range(4):
            _advance(ledger, n)
    uri, location = f"sqlite:///{tmp_path}/mlflow.db", (tmp_path / "artifacts").as_uri()

    def cut(*arguments):
        write(*arguments)
        raise ConnectionError

    monkeypatch.setattr(mlflow_mirror, "_RUNS", 1)
    monkeypatch.setattr(mlflow_mirror, "write", cut)
    attempts, whole = 0, False
    while not whole:
        attempts += 1
        with contextlib.suppress(ConnectionError):
            whole = mlflow_mirror.Mirror(folder, uri, location).update() == 5
    assert attempts == 1 + sum(outcome is not None for outcome in OUTCOMES[:4])
    assert_as_in_the_ledger(folder, uri)
    assert len(list((tmp_path / "artifacts").rglob("confusion.svg"))) == OUTCOMES[:4].count(OUTCOMES[0])


class Cut:
    """A client whose connection is cut the first time that it asks for something that changes the store."""

    def __init__(self, client, done: set[str]) -> None:
        self.client, self.done = client, done

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*arguments, **named):
            found = method(*arguments, **named)
            what = f"{name} {arguments}"
            if not name.startswith(("get_", "search_")) and what not in self.done:
                self.done.add(what)
                raise ConnectionError(what)
            return found

        return call
