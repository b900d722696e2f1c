"""Damaged ledgers: whatever reads one says which table, row and column, and what can be saved; other studies go on."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search_spaces.errors import UserError
from study.ledger.damage import damage
from study.planning.status import status
from tests.malformed.command import refused, run

OLDER = Path(__file__).parents[1] / "study/ledger/older"
JSON = {
    "study": ("resolved", "identity", "description", "code", "provenance"),
    "proposal": ("configuration", "seeds", "levels", "rejected"),
    "attempt": ("provenance",),
    "fold": ("arithmetic", "predictions"),
}
COLUMNS = [(table, column) for table, columns in JSON.items() for column in columns]
# What a flipped byte, a wrong tool or half a write makes of a value that was JSON.
VALUES = {
    "cut": "substr({0}, 1, length({0}) / 2)",
    "flipped": "replace(replace({0}, '\"', '!'), '[', '!')",
    "not UTF-8": "cast(x'7b22ff223a317d' as text)",
    "empty": "''",
    "another kind": "'7'",
    "an empty list": "'[[]]'",
}
ROWS = {
    "no study": "delete from study",
    "two studies": "insert into study select * from study",
    "no attempts": "delete from attempt",
    "no proposals": "delete from proposal",
    "a number that is text": "update fold set seconds = 'soon'",
    "an outcome of no kind": "update outcome set state = 'complet'",
    "a seed that is text": "update fold set seed = 'x'",
    "another layout": "alter table outcome drop column why",
    "no table": "drop table told",
}
DAMAGES = ROWS | {
    f"{table}.{column} {name}": f"update {table} set {column} = {value.format(column)} where {column} is not null and "
    f"rowid = (select max(rowid) from {table} where {column} is not null)"
    for number, (table, column) in enumerate(COLUMNS)
    for name, value in list(VALUES.items())[number % 2 :: 2]  # each of them on half of the columns
}
READERS = (["status"], ["ledger", "check"], ["ledger", "export"], ["journal"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((OLDER / "ledger.sql").read_text() + "pragma user_version = 2;")
    return path.read_bytes()


def damaged(folder: Path, whole: bytes, statement: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "ledger.sqlite").write_bytes(whole)
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        db.execute("pragma foreign_keys = off")
        db.execute(statement)
        db.commit()
    return folder


def test_a_whole_ledger_has_no_damage(tmp_path, whole):
    assert damage(damaged(tmp_path / "begun", whole, "select 1")) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
def test_who_reads_it_says_where_it_is_damaged(kind, tmp_path, whole):
    folder = damaged(tmp_path / "begun", whole, DAMAGES[kind])
    refused("ledger", "check", folder, cwd=tmp_path, tells=("is damaged: put a copy of it back", _table(DAMAGES[kind])))
    for command in READERS:
        ended = run(*command, folder, cwd=tmp_path)
        assert ended.code in (0, 2) and "Traceback" not in ended.said, f"{command}: {ended.said}"
        assert ended.code == 0 or "is damaged: " in ended.said or "holds no study" in ended.said, (
            f"{command}: {ended.said}"
        )


def _table(statement: str) -> str:
    """The table that a statement damages, as it is told: where rows are gone, that of those which belonged to them."""
    words = statement.split()
    table = words[1] if words[0] == "update" else words[2]
    return f"table { {'attempt': 'fold', 'proposal': 'attempt'}.get(table, table) if words[0] == 'delete' else table }"


ONE = {"ablate": {"design": "one_at_a_time", "seeds": 1, "vary": {"input": ["gray"]}}}


def test_another_study_goes_on_beside_damaged_ones(small, whole):
    for number, statement in enumerate(DAMAGES.values()):
        damaged(small.storage / f"broken{number}", whole, statement)
    small.run(stages=ONE)
    assert small.query("select count(*) from outcome where state = 'complete'") == [(2,)]
    assert status(small.folder).study == "small"


@pytest.mark.parametrize(
    ("statement", "left"),
    [("update fold set predictions = '[]]' where rowid = 1", 9), ("update study set identity = 'x'", 10)],
)
def test_a_damaged_study_is_not_gone_on_with_and_a_new_name_is_given_its_whole_folds(small, statement, left):
    folder = small.run(stages=ONE)
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        db.execute(statement)
        db.commit()
    with pytest.raises(UserError, match=f"under a new name the study is given its {left} whole folds"):
        small.run(stages=ONE)
    again = small.run(stages=ONE, name="again")
    with closing(sqlite3.connect(again / "ledger.sqlite")) as db:
        assert db.execute("select count(*) from fold where origin = 'small'").fetchone() == (left,)


@pytest.mark.parametrize("garbage", [b"\xff\xfe\x00", b"node, process x\n", b"node, process \n", b""])
def test_a_lock_with_garbage(garbage, tmp_path, whole):
    folder = damaged(tmp_path / "begun", whole, "select 1")
    (folder / "ledger.lock").write_bytes(garbage)
    assert run("status", folder, cwd=tmp_path).code == 0
