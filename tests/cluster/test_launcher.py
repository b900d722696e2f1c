"""docs/cluster.md, followed literally on four hosts: what comes home is what a serial run gives, whatever happens."""

import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.golden_digest import golden_digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
long = pytest.mark.skipif("LOSOLAB_SOAK" not in os.environ, reason="some minutes; make soak runs it")

REPOSITORY = Path(__file__).parents[2]
# A study of some twenty seconds on this machine: 12 trials of 8 folds.
STUDY = """
name: my_study
dataset: {reader: synthetic, options: {subjects: 8, clips: 4}}
baseline: {architecture: full_face, frames: 6, crop: 24, kernel_time: 3, filters: 8, epochs: 30}
stages: {ablate: {design: one_at_a_time, seeds: 2, vary: {depth: [2], crop: [16, 32], frames: [12]}, controls: [null]}}
resources: {memory: 0.5}
"""
NETWORK = """
from torch import nn


def tiny(inputs, classes):
    ((channels, frames, height, width),) = inputs.values()
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * frames * height * width, classes))
"""
DOC = (REPOSITORY / "docs/cluster.md").read_text(encoding="utf-8")
SAID = [line for block in re.findall(r"```sh\n(.*?)```", DOC, re.S) for line in block.splitlines() if line]
FORWARD = "ray dashboard ray_cluster.yaml &"
(UI,) = (line for line in SAID if "losolab mlflow ui" in line)
(JOB,) = (line for line in SAID if "ray job submit" in line)
SUBMIT = "ray submit ray_cluster.yaml study/run.py my_study.yaml"


class Cluster:
    """The launched cluster of a lab, driven from its laptop in the checkout."""

    def __init__(self, lab, until) -> None:
        self.lab, self.until = lab, until

    def laptop(self, command: str, **options) -> str:
        return self.lab.laptop.run(f"cd losolab; {command}", **options)

    def submit(self, storage: str, *options: str):
        """Start the study with a storage of its own, as the docs do."""
        return self.lab.laptop.start(f"cd losolab; {SUBMIT} --storage {storage} {' '.join(options)}")

    def digest(self, storage: str) -> str:
        return golden_digest(self.lab.head.home / storage / "my_study")

    def asked(self, storage: str, query: str) -> list[tuple]:
        """A query of the head's ledger; no rows where it does not exist yet."""
        ledger = self.lab.head.home / storage / "my_study/ledger.sqlite"
        if not ledger.exists():
            return []
        with closing(sqlite3.connect(ledger)) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:  # it is being made
                return []

    def folds(self, storage: str) -> int:
        return len(self.asked(storage, "select key from fold"))

    def ready(self, nodes: int = 3, seconds: float = 150) -> None:
        """Wait until as many nodes are alive."""
        active = f" {nodes} local.cluster.node"
        status = "RAY_AUTH_MODE=token ray status 2>&1"
        self.until(lambda: active in self.lab.head.run(status, code=None), f"{nodes} nodes", seconds)


def test_two_machines_by_hand(lab):
    """As docs/cluster.md says, between head and first worker, before any launcher."""
    head, worker = lab.head, lab.workers[0]
    blocks = [block.splitlines() for block in re.findall(r"```bash\n(.*?)```", DOC, re.S)]
    (first, second), (run, stop) = [[line.replace("ADDRESS", head.address) for line in block] for block in blocks]
    head.run("ray get-auth-token --generate")
    (worker.home / ".ray").mkdir()
    (worker.home / ".ray/auth_token").write_text((head.home / ".ray/auth_token").read_text())
    folder = head.home / "by_hand"
    folder.mkdir()
    (folder / "my_study.yaml").write_text(STUDY.replace("depth: [2]", "network: ['nets:tiny']"))
    (folder / "nets.py").write_text(NETWORK)  # on the head alone: it travels with the study
    head.run(first)
    worker.run(second)
    assert "report" in head.run(f"cd by_hand; {run} --seeds 6")
    with closing(sqlite3.connect(folder / "studies/my_study/ledger.sqlite")) as ledger:
        assert ledger.execute("select count(*) from attempt where node = 'worker1'").fetchone()[0]
    for host in (head, worker):
        host.run(stop)


@pytest.fixture(scope="module")
def cluster(lab, until):
    """Brought up by the commands of the docs."""
    made = Cluster(lab, until)
    checkout = lab.laptop.home / "losolab"
    (checkout / "my_study.yaml").write_text(STUDY)
    install, token, doctor, up = SAID[:4]
    made.laptop(install)
    made.laptop(token)
    unedited = made.laptop(doctor, code=2)
    assert "HEAD_ADDRESS" in unedited
    assert "EDIT" in unedited
    file = checkout / "ray_cluster.yaml"
    workers = ", ".join(worker.address for worker in lab.workers)
    edits = {"HEAD_ADDRESS": lab.head.address, "WORKER_1, WORKER_2": workers, "USER": "root"}
    file.write_text(re.sub("|".join(edits), lambda found: edits[found.group()], file.read_text()))
    made.laptop(doctor)
    made.laptop(up)
    made.ready()
    return made


@pytest.fixture(scope="module")
def serial(cluster) -> str:
    """The digest of the same study without Ray."""
    cluster.lab.head.run("losolab run losolab/my_study.yaml --serial --storage serial")
    return cluster.digest("serial")


def test_a_submitted_study_comes_home(cluster, serial):
    """Submitted, watched, and fetched by the docs' commands: the predictions are those of the serial run."""
    for line in SAID[4:6]:
        cluster.laptop(line)
    assert cluster.digest("studies") == serial
    status, doctor = (line for line in SAID if "losolab status" in line or "--address auto" in line)
    assert "my_study" in cluster.laptop(status)
    assert "all nodes" in cluster.laptop(doctor)
    ui = cluster.lab.laptop.start(f"cd losolab; {UI}")
    fetch = "curl -s -o page http://127.0.0.1:5000/ && grep -qi mlflow page"
    cluster.until(lambda: "yes" in cluster.laptop(f"{fetch} && echo yes", code=None), "MLflow through its port", 120)
    ui.terminate()
    home = SAID[SAID.index(UI) + 1 : -1]
    for line in home:
        cluster.laptop(line)
    brought = cluster.lab.laptop.home / "losolab/results/my_study"
    assert golden_digest(brought) == serial
    assert (brought / "report/report.html").is_file()
    assert "report" in cluster.laptop("losolab report results/my_study")


@long
def test_a_worker_without_power_that_comes_back(cluster, serial):
    study, worker = cluster.submit("power"), cluster.lab.workers[0]
    cluster.until(lambda: cluster.folds("power") > 8, "the first folds", 120)
    worker.off()
    time.sleep(5)
    worker.on()
    assert "report" in study.communicate(timeout=300)[0]
    assert cluster.digest("power") == serial
    cluster.ready()


@long
def test_a_pulled_cable(cluster, serial):
    study, worker = cluster.submit("cable"), cluster.lab.workers[1]
    cluster.until(lambda: cluster.folds("cable") > 8, "the first folds", 120)
    worker.cable("down")
    assert "report" in study.communicate(timeout=400)[0]
    worker.cable("up")
    assert cluster.digest("cable") == serial
    cluster.ready()


@long
def test_a_job_outlives_who_submitted_it(cluster, serial):
    forward = cluster.lab.laptop.start(f"cd losolab; exec {FORWARD.rstrip(' &')}")
    cluster.until(
        lambda: "ok" in cluster.laptop("curl -s http://127.0.0.1:8265/ > /dev/null && echo ok", code=None),
        "the port",
        60,
    )
    submitted = cluster.lab.laptop.start(f"cd losolab; exec env {JOB.replace('--no-wait', '')} --storage job")
    cluster.until(lambda: cluster.folds("job") > 0, "the first folds", 180)
    submitted.kill()
    report = cluster.lab.head.home / "job/my_study/report/report.html"
    cluster.until(report.exists, "the job's report", 240)
    assert cluster.digest("job") == serial
    forward.terminate()


def test_a_closed_laptop_ends_a_study_cleanly_and_running_again_completes_it(cluster, serial):
    study = cluster.submit("lid")
    cluster.until(lambda: cluster.folds("lid") > 8, "the first folds", 120)
    cluster.lab.laptop.run("pkill -KILL -x ssh")  # this host's own: it has a process namespace of its own
    running = "pgrep -f '[r]un.py my_study.yaml'"
    began = time.monotonic()
    cluster.until(lambda: not cluster.lab.head.run(running, code=None).strip(), "the driver to end", 30)
    study.send_signal(signal.SIGKILL)
    print(f"the driver ended {time.monotonic() - began:.1f} s after the connection")
    cluster.lab.head.run("losolab ledger check lid/my_study")
    assert cluster.folds("lid") < 96
    assert "report" in cluster.submit("lid").communicate(timeout=300)[0]
    assert cluster.digest("lid") == serial


@long
def test_code_that_trains_differently_is_refused_until_it_is_accepted(cluster):
    training = cluster.lab.laptop.home / "losolab/study/training/train.py"
    training.write_text(training.read_text() + "\n# another code\n")
    cluster.laptop(SAID[4])
    refused = cluster.submit("studies").communicate(timeout=120)[0]
    assert "study/training/train.py" in refused
    assert "report  " not in refused
    told = cluster.submit("studies", "--accept-code", "--seeds", "4").communicate(timeout=300)[0]
    assert "report" in told
    codes = cluster.asked("studies", "select distinct json_extract(provenance, '$.code') from attempt")
    assert len(codes) == 2


def test_doctor_finds_what_is_wrong_with_a_cluster(cluster):
    """A worker with another numpy, a tracking server that is not there, a study too large for the object stores."""
    doctor = "losolab doctor losolab/my_study.yaml --address auto"
    worker = cluster.lab.workers[0]
    numpy = worker.run("python -c 'import numpy; print(numpy.__path__[0])'").strip()
    worker.run(f"sed -i 's/^Version: .*/Version: 1.0/' {numpy}-*.dist-info/METADATA")
    told = cluster.lab.head.run(f"{doctor} --tracking-uri http://{cluster.lab.laptop.address}:5000", code=2)
    assert "numpy" in told and "1.0, elsewhere" in told
    assert "constraints file" in told
    assert "losolab mlflow sync" in told


def test_the_cluster_goes_down(cluster):
    """The last command of the docs; workers are stopped as the docs say beside it."""
    cluster.laptop(SAID[-1])
    by_hand = re.search(r"`ssh USER@WORKER_1 (.*?)`", DOC).group(1)
    for worker in cluster.lab.workers:
        cluster.laptop(f"ssh -o StrictHostKeyChecking=no root@{worker.address} {by_hand}")
    for host in (cluster.lab.head, *cluster.lab.workers):
        left = [line for line in host.processes() if "ray" in line.lower()]
        assert not left, host.name
