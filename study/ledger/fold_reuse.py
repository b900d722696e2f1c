"""Folds that the other studies of a storage have: the same key and arithmetic are the same bytes, trained once."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from sqlite3 import DatabaseError

from search_spaces.digests import digest
from search_spaces.errors import UserError
from study.ledger.damage import whole_fold
from study.ledger.schema import read_only
from study.trials.fold_identity import Arithmetic, code, read_arithmetic, same_code
from study.trials.trial import FoldResult


@dataclass(frozen=True)
class Copy:
    """A fold of another study: `origin` trained it, with `provenance` (JSON)."""

    fold: FoldResult
    origin: str
    provenance: str


class Library:
    """What the other ledgers of a storage had when it was opened, of folds that the code of today made."""

    def __init__(self, storage: Path, own: str) -> None:
        self.storage = storage
        self._where: dict[str, list[tuple[str, str]]] = defaultdict(list)  # key -> studies and arithmetics (JSON)
        for folder in sorted(path.parent for path in storage.glob("*/ledger.sqlite")):
            if folder.name != own:
                self._add(folder)

    def __contains__(self, key: str) -> bool:
        return key in self._where

    def study(self, key: str, arithmetic: Arithmetic | None) -> str | None:
        """The study that has a fold of this arithmetic, or of any; None where there is none."""
        found = self._where.get(key, ())
        return next((name for name, made_by in found if arithmetic in (None, read_arithmetic(made_by))), None)

    def copies(self, keys: Iterable[str], arithmetic: Arithmetic | None) -> Iterator[Copy]:
        """The folds with these keys; one whose ledger has gone since is left out."""
        studies: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            if name := self.study(key, arithmetic):
                studies[name].append(key)
        for name, own in studies.items():
            yield from self._read(name, own, arithmetic)

    def _add(self, folder: Path) -> None:
        try:
            with closing(read_only(folder, of_another=True)) as db:
                attempts = db.execute("select id, provenance from attempt").fetchall()
                rows = db.execute("select key, arithmetic, attempt from fold").fetchall()
        except (UserError, DatabaseError):  # of another version, half made or damaged: its own commands say so
            return
        codes, now = {row["id"]: _code(row["provenance"]) for row in attempts}, digest(code())
        for row in rows:
            made_by = codes.get(row["attempt"])
            if made_by is not None and same_code(made_by, now) and _readable(row["arithmetic"]):
                self._where[row["key"]].append((folder.name, row["arithmetic"]))

    def _read(self, name: str, keys: list[str], arithmetic: Arithmetic | None) -> list[Copy]:
        query = """select fold.*, attempt.node, attempt.provenance from fold join attempt on attempt.id = fold.attempt
            where key=?"""
        try:
            with closing(read_only(self.storage / name, of_another=True)) as db:
                rows = [row for key in keys for row in db.execute(query, (key,)).fetchall()]
        except (UserError, DatabaseError):
            return []
        found: dict[str, Copy] = {}
        for row in filter(whole_fold, rows):
            made_by = read_arithmetic(row["arithmetic"])
            if arithmetic in (None, made_by):
                names = ("key", "configuration", "seed", "held_out", "predictions", "seconds", "peak_memory", "node")
                fold = FoldResult(arithmetic=made_by, **{name: row[name] for name in names})
                found.setdefault(row["key"], Copy(fold, row["origin"] or name, row["provenance"]))
        return list(found.values())


def _code(provenance: str) -> str | None:
    """The code that an attempt ran; None where its row is damaged: such a fold is trained anew."""
    try:
        return str(json.loads(provenance)["code"])
    except (ValueError, TypeError, LookupError):
        return None


@cache
def _readable(arithmetic: str) -> bool:
    try:
        return bool(read_arithmetic(arithmetic))
    except (ValueError, TypeError):
        return False
