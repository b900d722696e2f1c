"""The ledger: what it keeps, what it refuses, and what a reader sees of it."""

import sqlite3

import pytest

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.ledger import lock
from study.ledger.schema import ledger_path, read_only
from study.ledger.writer import Ledger, Outcome, StudyRecord, differences
from study.trials import fold_identity
from study.trials.fold_identity import code

RECORD = StudyRecord(
    "x", "name: x", {}, {"baseline": {"depth": 1}, "data": {"index": "abc", "eyes": "1"}}, {"clips": []}
)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "x") as ledger:
        yield ledger


def test_a_trial_is_written_down_once(ledger):
    first = ledger.propose("ablate", "baseline", TrialConfig(), (1,))
    assert ledger.propose("ablate", "baseline", TrialConfig(), (1,)) == first
    other = ledger.propose("ablate", "baseline", TrialConfig(), (2,))
    assert [t.number for t in ledger.trials()] == [first.number, other.number]


def test_numbers_count_within_a_stage(ledger):
    for stage in ("search", "search", "ablate"):
        ledger.propose(stage, None, TrialConfig(), (1,), {"depth": 1}, [{"depth": 9}])
    assert [p.number for p in ledger.proposals("search")] == [0, 1]
    assert ledger.proposals("ablate")[0].rejected == ({"depth": 9},)


def test_a_transaction_is_all_or_nothing(ledger):
    trial = ledger.propose("ablate", "baseline", TrialConfig(), (1,))

    def half() -> None:
        with ledger.transaction():
            ledger.settle(trial.number, Outcome("complete", 1, 1.0))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        half()
    assert ledger.outcome(trial.number) is None


def test_what_was_told_never_changes(ledger):
    trial = ledger.propose("search", None, TrialConfig(), (1,))
    assert ledger.told(trial.number) is None
    ledger.tell(trial.number, Outcome("failed", 2, None))
    ledger.tell(trial.number, Outcome("complete", 5, 0.7))
    assert ledger.told(trial.number) == Outcome("failed", 2, None)


def test_a_changed_study_is_refused_with_what_differs(ledger):
    ledger.begin(RECORD)
    ledger.begin(RECORD)
    changed = StudyRecord("x", "", {}, {"baseline": {"depth": 2}, "data": {"index": "def", "face": "2"}}, {})
    with pytest.raises(UserError) as refused:
        ledger.begin(changed)
    assert len(refused.value.problems) == 2
    assert "baseline.depth was 1 when this study began and is now 2" in refused.value.problems[0]
    assert 'data.index was "abc"' in refused.value.problems[1]


def test_changed_code_is_refused_unless_accepted(ledger, monkeypatch):
    ledger.begin(RECORD)
    monkeypatch.setattr(
        fold_identity, "code", lambda: code() | {"study/training/train.py": "other", "study/new.py": "1"}
    )
    with pytest.raises(
        UserError, match=r"\(study/new.py, study/training/train.py\).*--accept-code, which marks the folds"
    ):
        ledger.begin(RECORD)
    ledger.begin(RECORD, accept_code=True)


def test_one_writer(ledger):
    with pytest.raises(UserError, match="another run of this study is writing"):
        Ledger(ledger.folder)


def test_a_reader_reads_beside_the_writer_and_cannot_write(ledger):
    ledger.propose("ablate", "baseline", TrialConfig(), (1,))
    with read_only(ledger.folder) as db:
        assert db.execute("select count(*) from proposal").fetchone()[0] == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("delete from proposal")


def test_all_that_a_reader_reads_is_of_one_moment(ledger):
    db = read_only(ledger.folder)
    trial = ledger.propose("ablate", "baseline", TrialConfig(), (1,))
    ledger.settle(trial.number, Outcome("complete", 5, 0.7))
    counted = [db.execute(f"select count(*) from {table}").fetchone()[0] for table in ("proposal", "outcome")]
    db.close()
    assert counted == [0, 0]


@pytest.mark.parametrize(("version", "advice"), [(1, "older losolab .*install that version"), (99, "newer .*update")])
def test_another_schema_is_refused_with_what_to_do(tmp_path, version, advice):
    Ledger(tmp_path / "x").close()
    db = sqlite3.connect(ledger_path(tmp_path / "x"))
    db.execute(f"pragma user_version = {version}")
    db.close()
    for opened in (Ledger, read_only):
        with pytest.raises(UserError, match=advice):
            opened(tmp_path / "x")
    ledger_path(tmp_path / "x").write_text("no database at all, but longer than a header of one hundred bytes" * 3)
    for opened in (Ledger, read_only):
        with pytest.raises(UserError, match="is not a ledger"):
            opened(tmp_path / "x")


def test_a_ledger_of_a_run_that_was_stopped_before_it_began(tmp_path):
    ledger_path(tmp_path).touch()
    with pytest.raises(UserError, match="holds no study yet"):
        read_only(tmp_path)
    with Ledger(tmp_path) as ledger:
        assert ledger.resolved() is None


def test_no_study_there(tmp_path):
    with pytest.raises(UserError, match="there is no study here"):
        read_only(tmp_path)


def test_a_network_file_system_is_refused_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_NETWORK", lock._NETWORK | {lock.file_system(tmp_path)})
    with pytest.raises(UserError, match="--storage DIR"):
        Ledger(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_factor_that_was_not_named_had_its_default():
    (told,) = differences({"baseline": {}}, {"baseline": {"learning_rate": 0.1}})
    assert told == "baseline.learning_rate was 0.01, the default, when this study began and is now 0.1"
