"""`losolab ledger`: what check finds, what copy and export leave."""

import json
import sqlite3
import time

import pyarrow.parquet as pq
import pytest

from search_spaces.errors import UserError
from study.cli.app import app
from study.ledger import audit as module
from study.ledger.audit import audit
from study.ledger.backup import copy_ledger
from study.ledger.schema import ledger_path
from study.planning.status import status
from tests.golden_digest import golden_digest

ABLATE = {"ablate": {"design": "one_at_a_time", "seeds": 1, "vary": {"input": ["gray"]}}}


@pytest.fixture
def folder(small):
    return small.run(stages=ABLATE)


def changed(folder, sql: str, *values: object) -> list[str]:
    """The problems of the ledger after somebody changed it by hand."""
    with sqlite3.connect(ledger_path(folder)) as db:
        db.execute("pragma foreign_keys = off")
        db.execute(sql, values)
    db.close()
    return list(audit(folder).problems)


def test_nothing_is_wrong_with_what_a_run_leaves(folder, capsys):
    assert audit(folder) == module.Audit(10, (), ())
    app(["ledger", "check", str(folder)], standalone_mode=False)
    assert "10 folds; nothing is wrong" in capsys.readouterr().out


def test_a_fold_that_is_missing(folder):
    (problem,) = changed(folder, "delete from fold where key = (select key from fold limit 1)")
    assert "is complete and lacks 1 of 5 folds" in problem


def test_a_clip_that_is_there_twice_or_not_at_all_and_one_of_another_truth(folder):
    first = "(select key from fold order by key limit 1)"
    with sqlite3.connect(ledger_path(folder)) as db:
        rows = json.loads(db.execute(f"select predictions from fold where key = {first}").fetchone()[0])
    twice = json.dumps([*rows, rows[0]])
    (problem,) = changed(folder, f"update fold set predictions = ? where key = {first}", twice)
    assert f"clip {rows[0][0]} is predicted twice" in problem
    (problem,) = changed(folder, f"update fold set predictions = ? where key = {first}", json.dumps(rows[1:]))
    assert f"clip {rows[0][0]} has no prediction" in problem
    wrong = json.dumps([[rows[0][0], "another", *rows[0][2:]], *rows[1:]])
    (problem,) = changed(folder, f"update fold set predictions = ? where key = {first}", wrong)
    assert f"clip {rows[0][0]}: its y_true is" in problem


@pytest.mark.parametrize("named", ["index", "eyes"])
def test_folds_of_other_data(folder, named):
    found = changed(folder, f"update study set identity = json_set(identity, '$.data.{named}', 'other')")
    assert any("was made from other data" in problem for problem in found)
    assert any("is complete and lacks 5 of 5 folds" in problem for problem in found)


def test_folds_of_another_training_version_are_said_not_to_be_checked(folder):
    assert changed(folder, "update study set identity = json_set(identity, '$.training_version', 99)") == []
    assert "TRAINING_VERSION 99 made it" in audit(folder).notes[0]


def test_what_mixed_and_accept_code_let_stand_is_marked(folder):
    one = "(select key from fold limit 1)"
    assert changed(folder, f"update fold set arithmetic = json_set(arithmetic, '$.threads', 7) where key = {one}") == []
    with sqlite3.connect(ledger_path(folder)) as db:
        db.execute("update attempt set provenance = json_set(provenance, '$.code', 'other') where id = 1")
    db.close()
    mixed, code = audit(folder).notes
    assert "--mixed allowed: 9 folds by" in mixed
    assert "--accept-code allowed: 5 folds by" in code


def test_copied_folds_are_noted(small, folder):
    second = small.run(stages=ABLATE, name="second")
    assert audit(second) == module.Audit(10, (), ("10 folds were copied from the study small",))


def test_a_damaged_file(folder):
    content = bytearray(ledger_path(folder).read_bytes())
    content[4096 * 3 : 4096 * 5] = b"\xff" * 8192
    ledger_path(folder).write_bytes(content)
    assert "is damaged: put a copy of it back in its place" in audit(folder).problems[0]
    assert audit(folder).problems


def test_a_copy_is_a_study_of_its_own_place(small, folder, tmp_path):
    copy_ledger(folder, tmp_path / "backup" / "small")
    assert golden_digest(tmp_path / "backup" / "small") == golden_digest(folder)
    app(["ledger", "export", str(tmp_path / "backup" / "small")], standalone_mode=False)
    for name in ("predictions.parquet", "trials.parquet"):
        copied, first = (pq.read_table(place / name) for place in (tmp_path / "backup" / "small", folder))
        assert copied.equals(first)
    with pytest.raises(UserError, match="is there already"):
        copy_ledger(folder, tmp_path / "backup" / "small")
    copy_ledger(folder, tmp_path / "small.sqlite")
    assert (tmp_path / "small.sqlite").is_file()


@pytest.mark.slow
def test_a_copy_beside_a_running_driver_is_whole(small, tmp_path):
    driver = small.start("--serial")
    try:
        deadline = time.monotonic() + 120
        while not (ledger_path(small.folder).exists() and _folds(small.folder) > 10):
            assert driver.poll() is None, driver.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        copy_ledger(small.folder, tmp_path / "copy")
        assert driver.poll() is None
    finally:
        driver.kill()
        driver.communicate()
    assert audit(tmp_path / "copy").problems == ()
    assert 10 < _folds(tmp_path / "copy") < 100


def _folds(folder) -> int:
    try:
        return sum(stage.folds for stage in status(folder).stages)
    except UserError:  # its run has only just begun
        return 0
