"""What is damaged in a ledger: every value that is not of the kind that losolab writes, by table, row and column."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from analysis.results.results import Metadata
from search_spaces.config import TrialConfig
from search_spaces.spec import StudySpec
from study.ledger.schema import SCHEMA, ledger_path
from study.trials.fold_identity import read_arithmetic

_STATES = ("complete", "failed", "pruned")
_KINDS = {
    name: (int, float) if isinstance(default, float) else type(default) for name, default in vars(TrialConfig()).items()
}
_ROWS = {  # how a row of each table is named, and what it must belong to
    "study": ("name", {}),
    "proposal": ("trial", {}),
    "attempt": ("id", {"trial": "proposal.trial"}),
    "fold": ("key", {"attempt": "attempt.id", "configuration": "proposal.key"}),
    "outcome": ("trial", {"trial": "proposal.trial"}),
    "told": ("trial", {"trial": "proposal.trial"}),
}


def damage(folder: Path, orphans: bool = True) -> list[str]:
    """Every damaged value of a study's ledger in words, and what can be saved; nothing where it is whole.

    orphans: rows that belong to a row which is not there, too.
    """
    if not (path := ledger_path(folder)).is_file():
        return []
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)) as db:
        db.row_factory = sqlite3.Row
        db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        try:
            db.execute("begin")  # all of one moment, whatever a driver writes beside it
            found = list(_of_layout(db)) or [*_of_pages(db), *_of_rows(db, orphans)]
            whole = list(filter(whole_fold, db.execute("select * from fold"))) if found else []
        except sqlite3.DatabaseError as broken:
            if broken.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                return []  # locked, say: that is no damage
            found, whole = [f"its pages cannot be read ({broken})"], []
    if not found:
        return []
    saved = f"; under a new name the study is given its {len(whole)} whole folds" * bool(whole)
    remedy = f"is damaged: put a copy of it back in its place{saved}"
    return [f"{path}: {text}" for text in (remedy, *found)]


def whole_fold(row: sqlite3.Row) -> bool:
    """Whether a fold's own values are what losolab writes."""
    return not any(_wrong(row, name, check) for name, check in _CHECKS["fold"].items())


def _of_layout(db: sqlite3.Connection) -> Iterator[str]:
    """Tables and columns that other losolabs of the same version do not have, or do."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(SCHEMA)
        for table in _ROWS:
            ours, theirs = ([row[1] for row in one.execute(f"pragma table_info({table})")] for one in (made, db))
            if ours != theirs:
                yield f"table {table} has the columns {', '.join(theirs) or 'none'}; expected: {', '.join(ours)}"


def _of_pages(db: sqlite3.Connection) -> Iterator[str]:
    yield from (row[0] for row in db.execute("pragma integrity_check(20)") if row[0] != "ok")


def _of_rows(db: sqlite3.Connection, orphans: bool) -> Iterator[str]:
    tables = {table: db.execute(f"select * from {table}").fetchall() for table in _ROWS}
    if len(tables["study"]) != 1 and any(tables.values()):
        yield f"table study has {len(tables['study'])} rows; expected: one"
    for table, rows in tables.items():
        name, owners = _ROWS[table]
        owners = owners if orphans else {}
        known = {column: _column(tables, owner) for column, owner in owners.items()}
        for row in rows:
            where = f"table {table}, row {str(row[name])[:12]!r}"
            for column, check in _CHECKS[table].items():
                if why := _wrong(row, column, check):
                    yield f"{where}, column {column}: {why}"
            for column, owner in owners.items():
                if row[column] not in known[column]:
                    yield f"{where}, column {column}: {str(row[column])[:12]!r} is no {owner}"


def _column(tables: dict[str, list[sqlite3.Row]], name: str) -> set[Any]:
    table, _, column = name.partition(".")
    return {row[column] for row in tables[table]}


def _wrong(row: sqlite3.Row, column: str, check: Callable[[Any], object]) -> str | None:
    """Why a value cannot be what losolab wrote; a check raises, or says no."""
    value = row[column]
    try:
        if isinstance(value, str):
            value.encode()
        return None if check(value) is not False else f"is not what losolab writes ({str(value)[:40]!r})"
    except UnicodeEncodeError:
        return "is not text in UTF-8"
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


def _maybe(check: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: value is None or check(value)


def _json(kind: type, check: Callable[[Any], object] = lambda value: True) -> Callable[[Any], object]:
    def checked(text: Any) -> object:
        value = json.loads(text)
        return isinstance(value, kind) and check(value)

    return checked


def _configuration(value: dict[str, Any]) -> bool:
    return all(isinstance(level, _KINDS[name]) for name, level in vars(TrialConfig(**value)).items())


def _identity(value: dict[str, Any]) -> bool:
    arithmetic = value.get("arithmetic", {"threads": 1, "gpu": None, "memory": None})
    return isinstance(value["data"], dict) and {*arithmetic} == {"threads", "gpu", "memory"}


NOT_EXPORTED = ("clips", "labels", "choosers")  # of a study's description: what only its ledger's readers need


def _described(value: dict[str, Any]) -> bool:
    exported = {key: part for key, part in value.items() if key not in NOT_EXPORTED} | {
        "name": "",
        "provenance": {},
    }
    Metadata.decode(json.dumps(exported).encode())
    labels = value.get("labels", [0] * len(value["clips"]))
    return all(len(clip) == 4 for clip in value["clips"]) and len(labels) == len(value["clips"])


def _predicted(value: list[Any]) -> bool:
    """[[clip, true class, predicted class, [probability of each class]], ...]."""
    return all(
        isinstance(clip, str) and isinstance(true, int | str) and isinstance(predicted, int | str)
        and bool(shares) and all(isinstance(share, float | int) and -1e-9 <= share <= 1 + 1e-9 for share in shares)
        for clip, true, predicted, shares in value
    )  # fmt: skip


_PROVENANCE = _json(dict, lambda value: isinstance(value["code"], str))
_WHOLE = _json(list, lambda value: all(isinstance(seed, int) for seed in value) and bool(value))
_CHECKS: dict[str, dict[str, Callable[[Any], object]]] = {
    "study": {
        **{"name": _text, "file": _text, "provenance": _PROVENANCE, "began": _number},
        **{"resolved": _json(dict, StudySpec.model_validate), "identity": _json(dict, _identity)},
        **{"description": _json(dict, _described), "code": _json(dict)},
    },
    "proposal": {
        **{"trial": _number, "stage": _text, "number": _number, "arm": _maybe(_text), "key": _text},
        **{"configuration": _json(dict, _configuration), "seeds": _WHOLE, "levels": _maybe(_json(dict))},
        **{"rejected": _json(list, lambda value: all(isinstance(one, dict) for one in value))},
        **{"opponent": _maybe(_number)},
    },
    "attempt": {"node": _maybe(_text), "provenance": _PROVENANCE, "began": _number, "ended": _maybe(_number)},
    "fold": {
        **{"key": _text, "arithmetic": read_arithmetic, "configuration": _text},
        **{"seed": _number, "held_out": _text, "predictions": _json(list, _predicted), "seconds": _number},
        **{"peak_memory": _number, "ended": _number, "origin": _maybe(_text)},
    },
    "outcome": {"state": _STATES.__contains__, "kept": _number, "value": _maybe(_number), "why": _maybe(_text)},
    "told": {"state": _text, "kept": _number, "value": _maybe(_number)},
}
