"""Readers: a dataset as its owner ships it -> ClipIndex."""

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from study.data.clips import CLIP_INDEX, ClipIndex
from study.data.readers import casme2, casme_squared, manifest, megc2019, samm, smic, smic_e, synthetic
from study.data.readers.findings import Problem, Survey, classes_of_one_subject, index_of, limited, together_problems
from study.data.readers.folders import unfit_sources
from study.system import dotted_path

SURVEYS: dict[str, Callable[[Path | None, Mapping[str, Any]], Survey]] = {
    "casme2": casme2.survey,
    "casme_squared": casme_squared.survey,
    "manifest": manifest.survey,
    "megc2019": megc2019.survey,
    "samm": samm.survey,
    "smic": smic.survey,
    "smic_e": smic_e.survey,
}

EXPECTED = "expected: a function of path and options that returns a ClipIndex, or a class with such a method read"


def read(reader: str, path: Path | None, options: Mapping[str, Any]) -> ClipIndex:
    """The clips of a dataset by the name of its reader, or by the dotted path `package.module:name` of a user's own.

    A user's own reader is a function of path and options that returns a ClipIndex, or a class with such a method
    `read`. Raises UserError with every problem found.
    """
    if reader == "synthetic":
        return synthetic.read(path, options)
    if reader in SURVEYS:
        return index_of(SURVEYS[reader](path, options))
    if ":" not in reader:
        valid = ", ".join([*SURVEYS, "synthetic"])
        raise UserError(f"dataset reader {reader!r} is not known; valid: {valid}, or package.module:name of your own")
    return checked(reader, _guarded(reader, imported(reader), path, options))


def survey(reader: str, path: Path | None, options: Mapping[str, Any]) -> Survey:
    """All that a reader finds in a dataset, its problems included; none of them is raised."""
    try:
        if reader in SURVEYS:
            return SURVEYS[reader](path, options)
        index = read(reader, path, options)
    except UserError as error:
        problems = tuple(Problem("dataset", "", problem) for problem in error.problems)
        return Survey(reader, path or Path(), (), (), problems)
    rows = tuple(index.table.to_pylist())
    return Survey(index.name, index.root, index.classes, rows, notes=index.notes, truth=index.truth)


def imported(reader: str) -> Callable[[Path | None, Mapping[str, Any]], Any]:
    """A user's own reader; nothing of it is called but its class. Raises UserError where it is no reader.

    Python's own library holds none, and much that must not be called with a user's path: it is refused unread.
    """
    if reader.partition(":")[0].partition(".")[0] in sys.stdlib_module_names:
        raise UserError(f"dataset reader {reader!r} is of Python's own library, and no reader; {EXPECTED}")
    found = dotted_path.found("dataset reader", reader)
    called = getattr(found, "read", None) if isinstance(found, type) else found
    if called is None:
        raise UserError(f"dataset reader {reader!r} is a class without a method read; {EXPECTED}")
    if not callable(called):
        raise UserError(f"dataset reader {reader!r} is no function; {EXPECTED}")
    written = (
        found if isinstance(found, type) else inspect.unwrap(called.func if isinstance(called, partial) else called)
    )
    if inspect.isbuiltin(written) or _module(written) in sys.stdlib_module_names:
        raise UserError(f"dataset reader {reader!r} is of Python's own library, and no reader; {EXPECTED}")
    if not isinstance(found, type):
        _check_call(reader, called, None, {})
        return called
    _check_call(reader, found)
    made = _guarded(reader, found)
    _check_call(reader, made.read, None, {})
    return made.read


def _module(written: Any) -> str:
    """The package of Python that a function or class is from."""
    return str(getattr(written, "__module__", "")).partition(".")[0]


def _check_call(reader: str, called: Any, *arguments: Any) -> None:
    """Raise UserError where something does not take these arguments by its signature; it is not called."""
    try:
        inspect.signature(called).bind(*arguments)
    except (TypeError, ValueError) as error:  # ValueError: something of C without a signature
        raise UserError(f"dataset reader {reader!r} is not called as a reader is ({error}); {EXPECTED}") from error


def _guarded(reader: str, called: Callable[..., Any], *arguments: Any) -> Any:
    """What a user's own code returns. Raises UserError with the line where it failed."""
    try:
        return called(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
        raise UserError(f"dataset reader {reader!r} failed: {told}; mend it, or what it reads") from error


def checked(reader: str, index: Any) -> ClipIndex:
    """What a user's own reader returned, held against the rules of a manifest. Raises UserError with every problem."""
    if not isinstance(index, ClipIndex):
        kind = type(index).__name__
        raise UserError(f"dataset reader {reader!r} returned {kind}; expected: study.data.clips.ClipIndex")
    if not index.table.schema.equals(CLIP_INDEX):
        raise UserError(f"dataset reader {reader!r}: its table must have the schema study.data.clips.CLIP_INDEX")
    rows, classes = index.table.to_pylist(), dict.fromkeys(index.classes)
    own = [list(manifest.row_problems(row, index.root, classes)) for row in rows]
    problems = [f"{row['clip_id']}: {problem}" for row, wrong in zip(rows, own, strict=True) for problem in wrong]
    problems += together_problems(rows, index.classes)
    problems += map(str, unfit_sources([row for row, wrong in zip(rows, own, strict=True) if not wrong], index.root))
    if problems:
        raise UserError(limited([f"dataset reader {reader!r}: {problem}" for problem in problems]))
    order = [(name, "ascending") for name in ("dataset", "subject", "clip_id")]
    notes = (*index.notes, *classes_of_one_subject(rows, index.classes))
    return replace(index, table=index.table.sort_by(order), notes=notes)


def truth(index: ClipIndex) -> dict[str, object] | None:
    """All that is planted in synthetic data; None of any other."""
    return synthetic.planted(index) if synthetic.is_planned(index) else index.truth


def is_there(index: ClipIndex, folder: Path) -> bool:
    """Whether the videos are there, so that `materialise` renders none."""
    return not synthetic.is_planned(index) or synthetic.target(index, folder).is_dir()


def materialise(index: ClipIndex, folder: Path, progress: Callable[[int, int], None] | None = None) -> ClipIndex:
    """The index with its videos there: synthetic data are rendered once into a folder of their own beneath `folder`.

    Any other index is returned as it is. The table does not change.
    """
    return synthetic.materialise(index, folder, progress) if synthetic.is_planned(index) else index
