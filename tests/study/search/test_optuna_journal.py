"""The journal of a search: what Optuna and its dashboard read is what the ledger says."""

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from search_spaces.study_file import load_study
from study.cli.app import main
from study.ledger.schema import has_begun, ledger_path
from study.ledger.writer import Ledger, Outcome, StudyRecord
from study.models.geometry import geometry
from study.search.optuna_journal import write_journal
from study.training.protocol import shuffled
from study.trials.fold_identity import Arithmetic
from study.trials.race import differences
from study.trials.subject_order import Course
from study.trials.trial import FoldResult

SUBJECTS, CLASSES, INDEX = [f"s{i}" for i in range(8)], ("a", "b", "c"), "0" * 64
ORDER = shuffled(SUBJECTS, INDEX)
ARITHMETIC = Arithmetic("cpu", "AVX2", 1, "2.9", "float32", 1)
DASHBOARD = shutil.which("optuna-dashboard", path=Path(sys.executable).parent)
EXPECTED = {"Complete": 2, "Pruned": 1, "Fail": 1, "Running": 1}


def rows(subject, right):
    """A fold's predictions: of 6 clips, the first `right` are."""
    return json.dumps([[f"{subject}-{i}", "abc"[i % 3], "abc"[(i + (i >= right)) % 3], [0.2] * 3] for i in range(6)])


def found(right):
    return {(1, subject): rows(subject, right) for subject in SUBJECTS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A study whose search has two complete trials, one pruned after 4 subjects, one failed and one running."""
    folder = tmp_path_factory.mktemp("journal")
    factors = {"depth": [1, 2, 3], "learning_rate": {"low": 0.001, "high": 0.1, "log": True}}
    record = begun(folder, {"search": {"design": "search", "proposals": 5, "factors": factors}})
    with Ledger(folder) as ledger:
        ledger.begin(record)
        add(ledger, 0, 6, Outcome("complete", 8, 1.0))
        add(ledger, 1, 5, Outcome("complete", 8, 5 / 6))
        add(ledger, 2, 3, Outcome("pruned", 4, 0.4), opponent=1)
        add(ledger, 3, 5, Outcome("failed", 4, None, "diverged"))
        add(ledger, 4, 5, None, opponent=1)
    write_journal(folder)
    return folder


def begun(folder, stages) -> StudyRecord:
    """A study of these stages as its ledger would keep it."""
    file = folder / "given.yaml"
    file.write_text(yaml.safe_dump({"name": "x", "dataset": {"path": "clips"}, "stages": stages}))
    resolved = load_study(file).model_dump(mode="json", exclude_none=True)
    clips = [[f"{subject}-{i}", "made-up", subject, f"{subject}-{i}"] for subject in SUBJECTS for i in range(6)]
    described = {"classes": list(CLASSES), "clips": clips, "notes": [], "protocol": "loso"}
    return StudyRecord("x", file.read_text(), resolved, {"data": {"index": INDEX}}, described)


def add(ledger, number, right, outcome, opponent=None, levels=None):
    """A proposal whose folds have so many of 6 clips right."""
    levels = levels or {"depth": 1 + number % 3, "learning_rate": 0.01 * (number + 1)}
    config = TrialConfig(**levels)
    trial = ledger.propose("search", None, config, (1,), levels, (), opponent)
    attempt = ledger.attempt(trial.number)
    made = {"arithmetic": ARITHMETIC, "configuration": config.key(), "seed": 1, "seconds": 1.0, "peak_memory": 9.0}
    for subject in ORDER[: outcome.kept if outcome else 4]:
        own = FoldResult(key=f"{number}{subject}", held_out=subject, predictions=rows(subject, right), node="n", **made)
        with ledger.transaction():
            ledger.add_folds(attempt, [own])
    if outcome:
        ledger.settle(trial.number, outcome)


def read(folder):
    backend = JournalFileBackend(str(folder / "optuna.log"))
    return optuna.load_study(study_name="x search", storage=JournalStorage(backend))


def test_states_values_and_levels_are_the_ledgers(folder, capsys):
    trials = read(folder).trials
    states = ["COMPLETE", "COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert [trial.state.name for trial in trials] == states
    assert [trial.value for trial in trials] == [1.0, 5 / 6, 0.4, None, None]
    assert trials[2].params == {"depth": 3, "learning_rate": 0.03}
    assert trials[2].user_attrs["imputed"] and "imputed" not in trials[1].user_attrs
    assert read(folder).best_trial.number == 0
    with pytest.raises(SystemExit, match="0"):
        main(["journal", str(folder)])
    assert "optuna-dashboard" in capsys.readouterr().out
    assert len(read(folder).trials) == 5, "written anew, not twice"


def test_sizes_are_objectives_too(tmp_path):
    stage = {"design": "search", "proposals": 5, "factors": {"depth": [1, 2, 3]}, "objectives": ["uf1", "parameters"]}
    with Ledger(tmp_path) as ledger:
        ledger.begin(begun(tmp_path, {"search": stage}))
        add(ledger, 0, 6, Outcome("complete", 8, 1.0), levels={"depth": 1})
    write_journal(tmp_path)
    (trial,) = read(tmp_path).trials
    assert trial.values == [1.0, geometry(TrialConfig(depth=1), 3).parameters]


def test_subject_scores_average_to_uf1_and_differ_from_the_opponents_as_the_race_saw_it(folder):
    whole, other, pruned = (trial.intermediate_values for trial in read(folder).trials[:3])
    course = Course(tuple(ORDER), CLASSES)
    counts = course.counts((1,), found(6), 8), course.counts((1,), found(3), 4)
    assert list(pruned) == [1, 2, 3, 4] and len(whole) == len(other) == 8
    assert np.mean(list(whole.values())) == pytest.approx(1.0)
    apart = [pruned[step] - whole[step] for step in pruned]
    np.testing.assert_allclose(np.array(apart) / 8, differences(counts[1], counts[0]), atol=1e-12)


def test_a_study_without_a_search_has_no_journal(tmp_path):
    record = begun(tmp_path, {"ablate": {"design": "one_at_a_time", "vary": {"depth": [1, 2]}}})
    with Ledger(tmp_path) as ledger:
        ledger.begin(record)
    with pytest.raises(UserError, match="no search"):
        write_journal(tmp_path)


def test_a_study_that_never_began_has_none_either(tmp_path):
    sqlite3.connect(ledger_path(tmp_path)).close()
    ledger_path(tmp_path).touch()
    assert not has_begun(tmp_path)
    Ledger(tmp_path).close()
    assert not has_begun(tmp_path)
    with pytest.raises(UserError):
        write_journal(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(DASHBOARD is None, reason="optuna-dashboard is not installed beside Python")
def test_the_dashboard_opens_it(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free_port = probe.getsockname()[1]
    command = [DASHBOARD, folder / "optuna.log", "--port", str(free_port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as dashboard:
        try:
            (listed,) = answer(free_port, "studies")["study_summaries"]
            assert listed["study_name"] == "x search"
            shown = answer(free_port, f"studies/{listed['study_id']}")["trials"]
        finally:
            dashboard.terminate()
    assert Counter(trial["state"] for trial in shown) == EXPECTED
    assert len(shown[2]["intermediate_values"]) == 4


def answer(port, path):
    """What its API says, once it is up."""
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}", timeout=20) as said:
                return json.load(said)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)
