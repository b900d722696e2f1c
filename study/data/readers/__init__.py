"""Readers: a dataset as its owner ships it -> ClipIndex."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from study import dotted
from study.data.clips import CLIP_INDEX, ClipIndex
from study.data.readers import casme2, casme_squared, manifest, megc2019, samm, smic, smic_e, synthetic
from study.data.readers.survey import Finding, Survey, index_of, together_problems

SURVEYS: dict[str, Callable[[Path | None, Mapping[str, Any]], Survey]] = {
    "casme2": casme2.survey,
    "casme_squared": casme_squared.survey,
    "manifest": manifest.survey,
    "megc2019": megc2019.survey,
    "samm": samm.survey,
    "smic": smic.survey,
    "smic_e": smic_e.survey,
}


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
    return checked(reader, imported(reader)(path, options))


def survey(reader: str, path: Path | None, options: Mapping[str, Any]) -> Survey:
    """All that a reader finds in a dataset, its problems included; none of them is raised."""
    try:
        if reader in SURVEYS:
            return SURVEYS[reader](path, options)
        index = read(reader, path, options)
    except UserError as error:
        problems = tuple(Finding("dataset", "", problem) for problem in error.problems)
        return Survey(reader, path or Path(), (), (), problems)
    rows = tuple(index.table.to_pylist())
    return Survey(index.name, index.root, index.classes, rows, notes=index.notes, truth=index.truth)


def imported(reader: str) -> Callable[[Path | None, Mapping[str, Any]], Any]:
    """A user's own reader. Raises UserError where its module or name is not there."""
    found = dotted.found("dataset reader", reader)
    if isinstance(found, type) and not hasattr(found, "read"):
        raise UserError(f"dataset reader {reader!r} is a class without a method read")
    called = found().read if isinstance(found, type) else found
    if not callable(called):
        raise UserError(f"dataset reader {reader!r} is no function; expected: a function of path and options")
    return called


def checked(reader: str, index: Any) -> ClipIndex:
    """What a user's own reader returned, held against the rules of a manifest. Raises UserError with every problem."""
    if not isinstance(index, ClipIndex):
        kind = type(index).__name__
        raise UserError(f"dataset reader {reader!r} returned {kind}; expected: study.data.clips.ClipIndex")
    if not index.table.schema.equals(CLIP_INDEX):
        raise UserError(f"dataset reader {reader!r}: its table must have the schema study.data.clips.CLIP_INDEX")
    rows = index.table.to_pylist()
    problems = [f"{row['clip_id']}: {p}" for row in rows for p in manifest.row_problems(row, index.root, index.classes)]
    problems += together_problems(rows, index.classes)
    if problems:
        raise UserError([f"dataset reader {reader!r}: {problem}" for problem in problems])
    order = [(name, "ascending") for name in ("dataset", "subject", "clip_id")]
    return replace(index, table=index.table.sort_by(order))


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
