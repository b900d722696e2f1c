"""Studies whose folds are made up, so that nothing trains; and what an MLflow store has of one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from mlflow import MlflowClient
from sklearn.metrics import f1_score

from search_spaces.config import TrialConfig
from study.ledger.schema import read_only
from study.ledger.writer import Ledger, Outcome, StudyRecord
from study.tracking.mirror_process import place
from study.tracking.runs import study_runs
from study.trials.fold_identity import Arithmetic
from study.trials.trial import FoldResult, Trial

CLASSES = ("negative", "positive", "surprise")
CPU = Arithmetic("cpu", "AVX2", 1, "2.13.0", "float32", 2)
SUBJECTS = ("p", "q", "r")
BASE = TrialConfig(regions="eyes+mouth", fusion="late")
NOWHERE = "http://127.0.0.1:9"  # the port "discard", on which nothing listens
STATUS = {"complete": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}


def begin(ledger: Ledger, subjects=SUBJECTS, arms=(), **resolved) -> None:
    description = {
        "question": "Does fusion help?",
        "dataset": "made-up",
        "dataset_digest": "d1" * 32,
        "protocol": "loso",
        "classes": CLASSES,
        "baseline": arms[0] if arms else None,
        "arms": [{"arm": name, "stage": "ablate", "changes": {}, "impossible": None} for name in arms],
        "truth": None,
        "notes": [],
        "clips": [[f"{subject}{i}", "made-up", subject, f"{subject}{i}"] for subject in subjects for i in range(6)],
    }
    ledger.begin(StudyRecord(ledger.folder.name, "name: it\n", resolved, {"data": {"index": "index"}}, description))


def fold(trial: Trial, seed: int, subject: str) -> FoldResult:
    """Two clips of each class; of the negative ones p's two, q's first and none of r's are taken for positive ones."""
    truth = [label for label in CLASSES for _ in range(2)]
    wrong = {"p": 2, "r": 0}.get(subject, 1)
    predicted = ["positive"] * wrong + truth[wrong:]
    rows = [[f"{subject}{i}", *pair, [0.2, 0.3, 0.5]] for i, pair in enumerate(zip(truth, predicted, strict=True))]
    key = f"{trial.config.key()}/{seed}/{subject}"
    return FoldResult(key, CPU, trial.config.key(), seed, subject, json.dumps(rows), 0.5, 100.25, "laptop")


def train(ledger: Ledger, trial: Trial, outcome: Outcome | None, subjects=SUBJECTS) -> None:
    attempt = ledger.attempt(trial.number)
    with ledger.transaction():
        for seed in trial.seeds:
            ledger.add_folds(attempt, [fold(trial, seed, subject) for subject in subjects])
        if outcome:
            ledger.settle(trial.number, outcome)


def every_state(folder: Path) -> None:
    """A study with a trial in each state, and one that has not started."""
    with Ledger(folder) as ledger:
        begin(ledger)
        searched = ledger.propose("search", None, TrialConfig(depth=2), (1, 2))
        pruned = ledger.propose("search", None, TrialConfig(depth=3), (1, 2))
        arm, failed, running, _ = (
            ledger.propose("ablate", name, config, (3000,))
            for name, config in {
                "baseline": BASE,
                "eyes only": TrialConfig(regions="eyes"),
                "face": TrialConfig(),
                "mouth only": TrialConfig(regions="mouth"),
            }.items()
        )
        train(ledger, searched, Outcome("complete", 6, 0.82222222))
        train(ledger, pruned, Outcome("pruned", 4, 0.61), SUBJECTS[:2])
        train(ledger, arm, Outcome("complete", 3, 0.8222))
        train(ledger, failed, Outcome("failed", 1, None, "ValueError: no"), SUBJECTS[:1])
        time.sleep(0.002)  # MLflow counts in milliseconds: this fold ends after the last trial's end
        train(ledger, running, None, SUBJECTS[:1])


def in_store(folder: Path, uri: str | None = None) -> dict:
    """All that a store has of a study, by the runs' keys."""
    client = MlflowClient(place(folder, uri).uri)
    experiment = client.get_experiment_by_name(study_runs(folder).name)
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == len({run.data.tags["losolab.key"] for run in runs})
    return {
        run.data.tags["losolab.key"].partition("/")[2]: {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "time": (run.info.start_time, run.info.end_time),
            "parameters": run.data.params,
            "tags": run.data.tags,
            "dataset": next(((i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs), None),
            "metrics": {
                name: [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
        }
        for run in runs
    }


def assert_as_in_the_ledger(folder: Path, uri: str | None = None) -> None:
    """Run by run and metric by metric; the ledger is read by SQL, not by what the mirror reads it with."""
    db = read_only(folder)
    trials = db.execute("select * from proposal left join outcome using (trial)").fetchall()
    folds = db.execute("select * from fold").fetchall()
    began = dict(db.execute("select trial, min(began) from attempt group by trial").fetchall())
    db.close()
    store = in_store(folder, uri)
    assert set(store) == {"study"} | {f"trial/{number}" for number in began}
    parent = store["study"]
    for trial in trials:
        if trial["trial"] not in began:
            continue
        run, seeds = store[f"trial/{trial['trial']}"], json.loads(trial["seeds"])
        own = [f for f in folds if f["configuration"] == trial["key"] and f["seed"] in seeds]
        ends = sorted(round(1000 * f["ended"]) for f in own)
        at = round(1000 * trial["ended"]) if trial["ended"] else None
        assert run["metrics"].get("folds_done", []) == [(n, end, n) for n, end in enumerate(ends, 1)]
        assert run["status"] == STATUS.get(trial["state"], "RUNNING")
        assert run["time"] == (round(1000 * began[trial["trial"]]), at)
        assert run["parameters"].items() >= {k: str(v) for k, v in json.loads(trial["configuration"]).items()}.items()
        assert run["tags"]["losolab.config"] == trial["key"] and run["tags"]["mlflow.parentRunId"] == parent["id"]
        if at is None:
            assert not {"uf1", "partial/uf1", "seconds"} & set(run["metrics"])
            continue
        if own:
            assert run["metrics"]["seconds"][-1] == (round(sum(f["seconds"] for f in own), 4), at, 0)
            assert run["metrics"]["peak_memory"][-1] == (max(f["peak_memory"] for f in own), at, 0)
        assert ("uf1" in run["metrics"]) == (trial["state"] == "complete")
        by_seed = [[r for f in own if f["seed"] == seed for r in json.loads(f["predictions"])] for seed in seeds]
        if trial["state"] == "pruned":  # its value in the ledger is an imputed one
            each = [f1_score([r[1] for r in rows], [r[2] for r in rows], average="macro") for rows in by_seed]
            assert run["metrics"]["partial/uf1"] == [(round(sum(each) / len(each), 4), at, 0)]
        if trial["state"] == "complete":
            assert run["metrics"]["uf1"] == [(round(trial["value"], 4), at, 0)]
            rows = [row for rows in by_seed for row in rows]
            hits = [sum(p == c for _, t, p, _ in rows if t == c) / sum(t == c for _, t, *_ in rows) for c in CLASSES]
            assert run["metrics"]["uar"] == [(round(sum(hits) / len(hits), 4), at, 0)]
            right = sum(t == p for _, t, p, _ in rows) / len(rows)
            assert run["metrics"]["accuracy"] == [(round(right, 4), at, 0)]
            assert run["metrics"]["uf1_low"][0][0] < run["metrics"]["uf1"][0][0] < run["metrics"]["uf1_high"][0][0]
    ended = [trial for trial in trials if trial["ended"]]
    for state in ("complete", "pruned", "failed"):
        count = sum(trial["state"] == state for trial in ended)
        assert not ended or last(parent)[f"trials_{state}"] == count
    for run in study_runs(folder).runs:  # and all the rest: names, tags, every step of every number
        found = store[run.key.partition("/")[2]]
        points = {(name, *point) for name, points in found["metrics"].items() for point in points}
        assert points >= set(run.metrics) and found["name"] == run.name
        assert found["tags"].items() >= run.tags.items() and found["parameters"] == run.parameters


def last(run: dict) -> dict[str, float]:
    return {name: points[-1][0] for name, points in run["metrics"].items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, seconds=60.0):
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)
    return found


def children(pid: int) -> list[int]:
    """The processes below one."""
    own = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return own + [below for child in own for below in children(child)]


class Server:
    """A real MLflow server on a store of its own, which can be killed, frozen and started again on the same port."""

    def __init__(self, folder: Path, store: str | None = None) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.log = (folder / "server.log").open("w")
        uri = store or f"sqlite:///{folder}/server.db"
        self.command = [sys.executable, "-P", "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port)]
        self.command += ["--backend-store-uri", uri, "--artifacts-destination", str(folder / "artifacts")]
        self.start()

    def start(self) -> None:
        small = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        streams = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": self.log}
        self.process = subprocess.Popen(self.command, env=os.environ | small, start_new_session=True, **streams)

    def wait(self) -> "Server":
        def answers():
            assert self.process.poll() is None, Path(self.log.name).read_text()
            try:
                return urlopen(f"{self.address}/health", timeout=1).close() is None
            except OSError:
                return False

        wait_for(answers, 180)
        return self

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def served(folder: Path, store: str | None = None):
    """A server that answers, for as long as the context lasts."""
    server = Server(folder, store)
    try:
        yield server.wait()
    finally:
        server.kill()
        server.log.close()
