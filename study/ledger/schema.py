"""The ledger's tables, which version of them a file has, and a reader's way to it."""

import sqlite3
from pathlib import Path

from search_spaces.errors import UserError

SCHEMA_VERSION = 2
opened: set[Path] = set()  # folders of the studies that this process is about: an error may come from damage there
SCHEMA = f"""
create table study (
    name text not null, file text not null, resolved text not null, identity text not null, description text not null,
    code text not null, provenance text not null, began real not null);
create table proposal (   -- every trial, written down before it is handed out
    trial integer primary key, stage text not null, number integer not null, arm text, configuration text not null,
    key text not null, seeds text not null, levels text, rejected text not null, opponent integer,
    unique (stage, number), unique (stage, arm, key, seeds));
create table attempt (    -- of a trial here; a copied fold has one of its own, with the provenance of who trained it
    id integer primary key, trial integer not null references proposal, node text, provenance text not null,
    began real not null, ended real, trained integer not null default 0, error text);
create table fold (       -- never changed; origin: the study that it was copied from
    key text not null, arithmetic text not null, configuration text not null, seed integer not null,
    held_out text not null, predictions text not null, seconds real not null, peak_memory real not null,
    attempt integer not null references attempt, ended real not null, origin text, primary key (key, arithmetic));
create index fold_of_trial on fold (configuration, seed, origin, seconds, ended, arithmetic); -- status reads it alone
create table outcome (
    trial integer primary key references proposal, state text not null, kept integer not null, value real, why text,
    ended real not null);
create table told (       -- what Optuna was told: never changed
    trial integer primary key references proposal, state text not null, kept integer not null, value real);
pragma user_version = {SCHEMA_VERSION};
"""


def ledger_path(folder: Path) -> Path:
    return folder / "ledger.sqlite"


def read_only(folder: Path, of_another: bool = False) -> sqlite3.Connection:
    """A reader's connection: all that it reads is of one moment, whatever a driver writes beside it.

    of_another: the study is not what this process is about; who reads it bears with its damage.

    Fetch all, close, and only then do slow things: an open reader keeps the writer's log from being folded in.
    Raises UserError where no ledger is, or one of another version.
    """
    path = ledger_path(folder)
    if not path.is_file():
        raise UserError(f"{folder}: there is no study here (no {path.name}); run one first, or give the folder of one")
    if not of_another:
        opened.add(folder)
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)
    db.row_factory = sqlite3.Row
    db.execute("begin")
    try:
        check_version(db, path)
    except BaseException:
        db.close()
        raise
    return db


def has_begun(folder: Path) -> bool:
    """Whether a run has written its study down, or something else is there that its reader has to tell of."""
    path = ledger_path(folder)
    if not path.is_file():
        return False
    begun = "select 1 from study union all select 1 from proposal limit 1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)
    try:
        return not is_blank(db, path) and db.execute(begun).fetchone() is not None
    except (sqlite3.DatabaseError, UserError):
        return True
    finally:
        db.close()


def is_blank(db: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing was written yet: a run begins, or was stopped then. Raises UserError where it is no ledger."""
    try:
        return db.execute("select 1 from sqlite_master").fetchone() is None
    except sqlite3.DatabaseError as problem:
        raise UserError(
            f"{path}: is not a ledger, or damaged ({problem}); put a copy of it back in its place"
        ) from None


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Raises UserError where a ledger was written by an older or a newer losolab, is blank, or is none."""
    if is_blank(db, path):
        raise UserError(f"{path}: holds no study yet: its run has only just begun, or was stopped then; run it again")
    version = db.execute("pragma user_version").fetchone()[0]
    if version < SCHEMA_VERSION:
        raise UserError(
            f"{path}: written by an older losolab (schema {version}, this one has {SCHEMA_VERSION}), which alone "
            "can go on with it and report it; install that version, or give the study a new name and train it anew"
        )
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path}: written by a newer losolab (schema {version}, this one has {SCHEMA_VERSION}); update losolab, "
            "or give the study a new name"
        )
