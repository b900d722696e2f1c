"""The MLflow mirror on real stores, with ledgers of made-up folds."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from made_up_study import (
    BASE,
    NOWHERE,
    SUBJECTS,
    alive,
    assert_as_in_the_ledger,
    begin,
    children,
    every_state,
    free_port,
    in_store,
    last,
    train,
    wait_for,
)
from mlflow import MlflowClient

from analysis.stats.inference import interval
from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.ledger.writer import Ledger, Outcome
from study.models.geometry import geometry
from study.tracking.mirror_process import Place, mirror, mirrored, place, place_of_study
from study.tracking.server import runs_page, serve, served


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> Path:
    """One for all: the first use of a store takes seconds."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture
def folder(storage, request) -> Path:
    return storage / request.node.name


def test_every_state_as_a_run(folder):
    every_state(folder)
    assert mirror(folder, None) == f"6 runs in {folder.parent / 'mlflow.db'}"
    runs = in_store(folder)

    study, arm, searched, pruned = runs["study"], runs["trial/3"], runs["trial/1"], runs["trial/2"]
    assert study["name"] == folder.name and study["status"] == "RUNNING"
    assert study["tags"]["mlflow.note.content"] == "Does fusion help?"
    ended = {"trials_complete": 2, "trials_pruned": 1, "trials_failed": 1}
    assert last(study) == {"best_uf1": 0.8222, "folds_done": 14, "seconds": 7.0} | ended
    assert study["metrics"]["best_uf1"] == [(0.8222, *point[1:]) for point in study["metrics"]["folds_done"]]
    assert study["dataset"] == ("made-up", ("d1" * 32)[:36]) and study["tags"]["dataset_digest"] == "d1" * 32
    assert study["tags"]["version.torch"] and study["tags"]["device"] == "cpu"

    assert (searched["name"], arm["name"]) == ("search/1", "ablate/baseline/seed 3000")
    assert arm["status"] == "FINISHED" and arm["tags"]["mlflow.parentRunId"] == study["id"]
    assert arm["parameters"]["architecture"] == "fusion_late" and arm["parameters"]["learning_rate"] == "0.01"
    own = {"stage": "ablate", "arm": "baseline", "seed": "3000", "losolab.status": "complete", "device": "cpu"}
    assert own.items() <= arm["tags"].items() and arm["tags"]["losolab.config"] == BASE.key()
    # 15 of 18 clips right: recalls 1/2, 1 and 1.
    scores = {"uf1": 0.8222, "uar": 0.8333, "accuracy": 0.8333}
    expected = interval(np.array([[[[2 - wrong, wrong, 0], [0, 2, 0], [0, 0, 2]]] for wrong in (2, 1, 0)]))
    assert last(arm) == scores | {
        "uf1_low": round(expected.low, 4),
        "uf1_high": round(expected.high, 4),
        "seconds": 1.5,
        "peak_memory": 100.25,
        "folds_done": 3,
        "parameters": 6_827_523,
        "multiply_adds": geometry(BASE, 3).multiply_adds,
    }
    assert scores.items() <= last(searched).items() and last(searched)["folds_done"] == 6

    assert pruned["status"] == "KILLED" and pruned["tags"]["losolab.status"] == "pruned"
    # The value in the ledger, 0.61, is what Optuna was told. Of p and q: F1 of 2/5, 8/11 and 1.
    assert last(pruned)["partial/uf1"] == 0.7091 and "uf1" not in pruned["metrics"] and "uar" not in pruned["metrics"]
    assert runs["trial/4"]["status"] == "FAILED" and runs["trial/4"]["tags"]["losolab.why"] == "ValueError: no"
    assert runs["trial/5"]["status"] == "RUNNING" and last(runs["trial/5"])["folds_done"] == 1
    assert "trial/6" not in runs


def test_a_trial_has_the_reports_number_also_where_an_older_losolab_sent_another(folder):
    every_state(folder)
    mirror(folder, None)
    before, client = in_store(folder), MlflowClient(place(folder, None).uri)
    client.update_run(before["trial/1"]["id"], name="search/0")
    client.update_run(before["trial/2"]["id"], name="my favourite")
    for run in before.values():
        client.set_tag(run["id"], "losolab.sent", "what an older losolab sent")
    mirror(folder, None)
    after = in_store(folder)  # which asserts that no key is there twice
    assert {key: run["id"] for key, run in after.items()} == {key: run["id"] for key, run in before.items()}
    assert (after["trial/1"]["name"], after["trial/2"]["name"]) == ("search/1", "my favourite")


def test_of_a_pruned_trial_counts_what_came_before_its_end(folder):
    with Ledger(folder) as ledger:
        begin(ledger)
        trial = ledger.propose("search", None, TrialConfig(depth=3), (1, 2))
        train(ledger, trial, Outcome("pruned", 4, 0.61))  # its last block had r besides, who is all right
    mirror(folder, None)
    assert last(in_store(folder)["trial/1"])["partial/uf1"] == 0.7091


def test_times_are_the_ledgers(folder):
    every_state(folder)
    with Ledger(folder) as ledger:
        ledger.db.execute("update attempt set began = 1000.5")
        ledger.db.execute("update fold set ended = 1001 + rowid")
        ledger.db.execute("update outcome set ended = 2000 + trial")
    mirror(folder, None)
    arm = in_store(folder)["trial/3"]
    assert arm["time"] == (1_000_500, 2_003_000)
    assert arm["metrics"]["uf1"] == [(0.8222, 2_003_000, 0)]
    assert arm["metrics"]["folds_done"] == [(n, 1_011_000 + 1000 * n, n) for n in (1, 2, 3)]


def test_sent_twice_nothing_is_added(folder):
    every_state(folder)
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text("<p>one")
    mirror(folder, None)
    once = in_store(folder)
    artifacts = folder.parent / "mlartifacts" / folder.name / once["study"]["id"] / "artifacts"
    names = ["predictions.parquet", "report", "report.html", "study.yaml", "trials.parquet"]
    assert sorted(path.name for path in artifacts.rglob("*")) == names
    sent = (artifacts / "predictions.parquet").stat().st_mtime_ns

    mirror(folder, None)
    assert in_store(folder) == once
    # Neither by a store whose marks of what was sent are gone.
    client = MlflowClient(place(folder, None).uri)
    for run in once.values():
        client.delete_tag(run["id"], "losolab.sent")
    (folder / "report" / "report.html").write_text("<p>two")
    mirror(folder, None)
    again = in_store(folder)
    assert again["study"]["tags"].pop("losolab.artifacts") != once["study"]["tags"].pop("losolab.artifacts")
    assert again == once
    assert (artifacts / "report" / "report.html").read_text() == "<p>two"
    assert (artifacts / "predictions.parquet").stat().st_mtime_ns == sent


def test_a_failed_trial_that_is_tried_again_ends_as_complete(folder):
    with Ledger(folder) as ledger:
        begin(ledger)
        trial = ledger.propose("ablate", "baseline", BASE, (3000,))
        train(ledger, trial, Outcome("failed", 1, None, "killed"), SUBJECTS[:1])
        mirror(folder, None)
        assert in_store(folder)["trial/1"]["status"] == "FAILED"
        train(ledger, trial, Outcome("complete", 3, 0.8222))
        mirror(folder, None)
    runs = in_store(folder)
    assert runs["trial/1"]["status"] == runs["study"]["status"] == "FINISHED"
    assert last(runs["trial/1"])["seconds"] == 1.5
    with Ledger(folder) as ledger:  # an arm is added
        train(ledger, ledger.propose("ablate", "face", TrialConfig(), (3000,)), None, SUBJECTS[:1])
    mirror(folder, None)
    assert in_store(folder)["study"]["status"] == "RUNNING"


def test_of_a_run_made_twice_one_stays_and_a_deleted_one_stays_deleted(folder):
    every_state(folder)
    mirror(folder, None)
    client, runs = MlflowClient(place(folder, None).uri), in_store(folder)
    client.delete_run(runs["trial/1"]["id"])
    experiment = client.get_experiment_by_name(folder.name).experiment_id
    key = runs["trial/3"]["tags"]["losolab.key"]
    double = client.create_run(experiment, tags={"losolab.key": key})
    mirror(folder, None)
    assert client.get_run(double.info.run_id).info.lifecycle_stage == "deleted"
    assert client.get_run(runs["trial/3"]["id"]).info.lifecycle_stage == "active"
    assert client.get_run(runs["trial/1"]["id"]).info.lifecycle_stage == "deleted"
    client.delete_experiment(experiment)
    with pytest.raises(UserError, match="mlflow experiments restore"):
        mirror(folder, None)


def test_a_study_made_anew_has_runs_of_its_own(folder):
    every_state(folder)
    mirror(folder, None)
    (folder / "ledger.sqlite").rename(folder / "old.sqlite")
    every_state(folder)
    mirror(folder, None)
    client = MlflowClient(place(folder, None).uri)
    runs = client.search_runs([client.get_experiment_by_name(folder.name).experiment_id])
    assert len(runs) == 12


@pytest.mark.slow
def test_mirrored_while_it_runs_and_wholly_at_its_end(folder):
    with mirrored(folder, None) as tail:
        assert not folder.exists()
        with Ledger(folder) as ledger:
            begin(ledger)
            train(ledger, ledger.propose("ablate", "baseline", BASE, (3000,)), Outcome("complete", 3, 0.8222))
            wait_for(lambda: "losolab.sent" in str(_tags(folder)))
            train(ledger, ledger.propose("ablate", "face", TrialConfig(), (3000,)), Outcome("complete", 3, 0.8222))
    assert tail.summary() == f"3 runs in {folder.parent / 'mlflow.db'}"
    assert not alive(tail.process.pid) and not (folder / "mirror.log").exists()
    assert {run["status"] for run in in_store(folder).values()} == {"FINISHED"}


def _tags(folder):
    client = MlflowClient(place(folder, None).uri)
    experiment = client.get_experiment_by_name(folder.name)
    return [run.data.tags for run in client.search_runs([experiment.experiment_id])] if experiment else []


@pytest.mark.slow
def test_the_mirror_is_killed_and_its_last_pass_is_made_all_the_same(folder):
    with Ledger(folder) as ledger:
        begin(ledger)
        for n in range(12):
            trial = ledger.propose("ablate", f"arm {n}", TrialConfig(hidden=100 + n), (3000,))
            train(ledger, trial, Outcome("complete", 3, 0.8222))
    with mirrored(folder, None) as tail:
        there = wait_for(lambda: len(_tags(folder)))
        tail.process.kill()
    assert there < 13 and tail.summary() == f"13 runs in {folder.parent / 'mlflow.db'}"
    assert_as_in_the_ledger(folder)


def test_without_a_server_the_study_goes_on_and_says_what_to_do(folder):
    began = time.monotonic()
    with mirrored(folder, NOWHERE) as tail:
        every_state(folder)
    assert time.monotonic() - began < 45
    assert tail.process.returncode == 1 and not alive(tail.process.pid)
    assert f"losolab mlflow sync {folder}" in tail.summary() and "mirror.log" in tail.summary()
    assert "Connection refused" in (folder / "mirror.log").read_text()
    with pytest.raises(UserError, match="could be sent"):
        mirror(folder, NOWHERE)
    with pytest.raises(UserError, match="no MLflow server answers"):
        serve(folder, NOWHERE, 5000, print)


@pytest.mark.parametrize("error", [UserError("the study is refused"), KeyboardInterrupt()])
def test_an_exception_passes_and_no_process_stays(folder, error):
    with pytest.raises(type(error)), mirrored(folder, None) as tail:
        raise error
    assert not alive(tail.process.pid) and tail.process.returncode == 0
    assert not folder.exists()


@pytest.mark.slow
def test_the_mirror_ends_when_its_driver_is_killed(folder):
    code = (
        "import sys, time; from pathlib import Path; from study.tracking.mirror_process import mirrored\n"
        "with mirrored(Path(sys.argv[1]), None) as tail: print(tail.process.pid, flush=True); time.sleep(600)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    pid = int(driver.stdout.readline())
    every_state(folder)
    wait_for(lambda: (folder / "mirror.lock").exists())  # it has seen the ledger
    with driver:
        driver.kill()
    wait_for(lambda: not alive(pid))
    assert len(in_store(folder)) == 6


@pytest.mark.slow
def test_one_process_mirrors_at_a_time(folder):
    with mirrored(folder, None):
        every_state(folder)
        wait_for(lambda: (folder / "mirror.lock").exists())
        with pytest.raises(UserError, match="mirroring this study already"):
            wait_for(lambda: mirror(folder, None) is None)


def test_only_the_mirror_imports_mlflow():
    modules = "study.cli.app, study.scheduling.driver, study.tracking.mirror_process, study.tracking.server"
    code = f"import sys, {modules}; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_study_in_the_folder(tmp_path):
    for call in (lambda: mirror(tmp_path, None), lambda: serve(tmp_path, None, 5000, print)):
        with pytest.raises(UserError, match="there is no study here"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_which_store(tmp_path):
    folder = tmp_path / "study"
    assert place(folder, None) == Place(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "mlartifacts")
    assert place(folder, "https://me:secret@host:5000/a") == Place("https://me:secret@host:5000/a", None)
    assert str(place(folder, "https://me:secret@host:5000/a")) == "https://host:5000/a"
    told = "API request to https://me:secret@host:5000/a/api failed"
    assert place(folder, "https://me:secret@host:5000/a/").without_password(told) == told.replace("me:secret@", "")
    assert str(place(folder, "postgresql://me:secret@host/mlflow")) == "postgresql://host/mlflow"
    with Ledger(folder) as ledger:
        begin(ledger, tracking_uri="http://host:5000")
    assert place_of_study(folder, None).uri == "http://host:5000"  # where it was last run to
    assert place_of_study(folder, NOWHERE).uri == NOWHERE


def test_a_server_that_cannot_start(folder):
    every_state(folder)
    to = Place(f"sqlite:///{folder}/none.db", folder)
    with pytest.raises(UserError, match="no MLflow store yet"), served(folder, to, 5000):
        pass
    mirror(folder, None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="give another one: --port"):
            serve(folder, None, taken.getsockname()[1], print)


@pytest.mark.slow
def test_a_server_shows_the_local_store_and_takes_a_study_over_http(folder, tmp_path):
    every_state(folder)
    mirror(folder, None)
    port = free_port()
    others = set(children(os.getpid()))  # of tests before this one
    with served(folder, place(folder, None), port) as address:
        processes = set(children(os.getpid())) - others
        client = MlflowClient(place(folder, None).uri)
        experiment = client.get_experiment_by_name(folder.name).experiment_id
        assert runs_page(address, folder).startswith(f"{address}/#/experiments/{experiment}/runs?")
        parent = in_store(folder)["study"]["id"]
        with urlopen(f"{address}/ajax-api/2.0/mlflow/artifacts/list?run_id={parent}") as answer:
            listed = [file["path"] for file in json.load(answer)["files"]]
        assert listed == ["predictions.parquet", "study.yaml", "trials.parquet"]

        other = tmp_path / "over http"
        with mirrored(other, address) as tail:
            every_state(other)
        assert tail.summary() == f"6 runs in {address}"
        assert mirror(other, address) == tail.summary()  # it makes the tables too: no driver did
        once = in_store(other, address)
        assert mirror(other, address) == tail.summary() and in_store(other, address) == once
        assert once["trial/3"]["status"] == "FINISHED" and last(once["trial/3"])["uar"] == 0.8333
    assert processes and not any(map(alive, processes))


@pytest.mark.slow
def test_ctrl_c_ends_the_ui_with_its_server(folder):
    every_state(folder)
    mirror(folder, None)
    port = free_port()
    command = [sys.executable, "-c", "from study.cli.app import main; main()", "ui", str(folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ui:
        assert "starting" in ui.stdout.readline()
        assert f"http://127.0.0.1:{port}/#/experiments/" in ui.stdout.readline()
        servers = children(ui.pid)
        ui.send_signal(signal.SIGINT)
        assert ui.wait(30) == 0
    assert servers and not any(map(alive, servers))
