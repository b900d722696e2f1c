"""Reader of a user's own dataset: a CSV or Parquet table with the columns of CLIP_INDEX, beside the videos."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search_spaces.errors import UserError
from study.data.clips import CLIP_INDEX, ClipIndex
from study.data.readers.survey import Findings, Survey, index_of, survey_of

REQUIRED = ("clip_id", "subject", "label", "onset", "offset", "source")
FACE = ("face_left", "face_top", "face_width", "face_height")
LIMIT = 2**31  # of whole numbers: no video has as many frames
NAMES = ("clips.csv", "clips.parquet")

Row = dict[str, Any]  # column -> text as written, then value; None where empty


def read(path: Path | None, options: Mapping[str, Any]) -> ClipIndex:
    """The clips of a table as an index. Raises UserError with every problem."""
    return index_of(survey(path, options))


def survey(path: Path | None, options: Mapping[str, Any]) -> Survey:
    """Clips of a table, or of the folder that holds it as clips.csv or clips.parquet; sources are relative to it.

    Columns: clip_id, subject, label, onset, offset, source; and, where known, apex, fps, dataset, landmarks, face_left,
    face_top, face_width, face_height (pixels of the source). Frames are numbered from 0, the offset is the last. Option
    `classes`: the labels that there must be, default those that there are. Raises UserError where it is no table.
    """
    if unknown := set(options) - {"classes"}:
        raise UserError(
            [f"dataset: option {name} is not one of a manifest; valid: classes" for name in sorted(unknown)]
        )
    demanded = options.get("classes")
    if demanded is not None and not is_names(demanded):
        raise UserError(f"dataset: option classes is {demanded!r}; valid: a list of different labels, [angry, happy]")
    file, found = find(path), Findings()
    rows: list[Row] = []
    try:
        typed_rows = [(f"{file}, {where}", *typed(row)) for where, row in raw_rows(file)]
    except (csv.Error, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise UserError(f"{file}: not readable as a table ({error}); expected: CSV in UTF-8, or Parquet") from error
    classes = tuple(demanded or sorted({str(row["label"]) for _, row, _ in typed_rows if row["label"]}))
    for where, row, bad_cells in typed_rows:
        problems = bad_cells or list(row_problems(row, file.parent, classes))
        for problem in problems:
            found.wrong("annotation", where, problem)
        rows += [] if problems else [row]
    found.together(str(file), [row for _, row, _ in typed_rows], classes)
    name = "+".join(sorted({row["dataset"] for _, row, _ in typed_rows}))
    whole = survey_of(name, file.parent, classes, rows, found)
    planted = file.parent / "truth.json"
    return replace(whole, truth=json.loads(planted.read_text()) if planted.is_file() else None)


def is_names(value: Any) -> bool:
    """Whether it is a list of different texts."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value) and len({*value}) == len(value)


def find(path: Path | None) -> Path:
    """The table's file."""
    expected = f"a folder with {' or '.join(NAMES)}, or the path of such a table"
    if path is None:
        raise UserError(f"dataset: no path is given; expected: {expected}")
    if not path.exists():
        raise UserError(f"{path}: there is no such folder or file; expected: {expected}")
    if path.is_file():
        return path
    found = [path / name for name in NAMES if (path / name).is_file()]
    if not found:
        raise UserError(f"{path}: holds no annotation; expected: {expected}")
    return found[0]


def raw_rows(file: Path) -> Iterator[tuple[str, Row]]:
    """Where each row stands and its cells as text, None where empty. Raises UserError when a column is missing."""
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        columns, cells = table.column_names, table.to_pylist()
        placed = [(f"row {number}", row) for number, row in enumerate(cells, 1)]
    else:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            placed = [(f"line {reader.line_num}", dict(row)) for row in reader]
            columns = list(reader.fieldnames or [])
    if missing := [name for name in REQUIRED if name not in columns]:
        raise UserError([f"{file}: the column {name} is missing; there are: {', '.join(columns)}" for name in missing])
    if not placed:
        raise UserError(f"{file}: holds no clips; expected: a row for each")
    for where, row in placed:
        yield where, {name: str(row[name]).strip() or None for name in columns if row[name] is not None}


def typed(row: Row) -> tuple[Row, list[str]]:
    """A row's cells as values of CLIP_INDEX, and what is wrong with them."""
    values: Row = {"dataset": "manifest"}
    problems = []
    for field in CLIP_INDEX:
        text = row.get(field.name)
        if text is None:
            values.setdefault(field.name, None)
            problems += [f"{field.name} is empty"] if field.name in REQUIRED else []
            continue
        try:
            values[field.name] = text if pa.types.is_string(field.type) else number(text, field.type)
        except ValueError:
            values[field.name] = None
            kind = "a whole number below 2^31" if pa.types.is_integer(field.type) else "a number"
            problems.append(f"{field.name} is {text!r}; valid: {kind}")
    return values, problems


def number(text: str, kind: pa.DataType) -> int | float:
    """A cell's number; `12.0` is the whole number 12, as spreadsheets write it. Raises ValueError."""
    value = float(text)
    if pa.types.is_integer(kind):
        if not value.is_integer() or abs(value) >= LIMIT:
            raise ValueError(text)
        return int(value)
    return value


def row_problems(row: Row, root: Path, classes: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with one clip whose cells are readable."""
    onset, apex, offset = row["onset"], row["apex"], row["offset"]
    if onset < 0:
        yield f"onset is {onset}; frames are numbered from 0"
    if onset > offset:
        yield f"onset {onset} lies after offset {offset}"
    elif apex is not None and not onset <= apex <= offset:
        yield f"apex {apex} does not lie between onset {onset} and offset {offset}; leave it empty where it is unknown"
    if row["label"] not in classes:
        yield f"label is {row['label']!r}; valid: {', '.join(classes)}"
    if row["fps"] is not None and not 0 < row["fps"] < float("inf"):
        yield f"fps is {row['fps']}; valid: more than 0"
    if not (root / row["source"]).exists():
        yield f"source {row['source']} is missing; expected: {root / row['source']}"
    if row["landmarks"] is not None and not (root / row["landmarks"]).exists():
        expected = f"expected: {root / row['landmarks']}, or nothing where there are none"
        yield f"landmarks {row['landmarks']} are missing; {expected}"
    yield from face_problems([row[name] for name in FACE])


def face_problems(face: list[int | None]) -> Iterator[str]:
    """What is wrong with a face box (left, top, width, height)."""
    given = [side for side in face if side is not None]
    if given and len(given) < len(face):
        yield f"the face box is incomplete; give all of {', '.join(FACE)}, or none (then the whole frame is the face)"
    elif given and (min(given[:2]) < 0 or min(given[2:]) < 1):
        yield f"the face box is {given}; valid: left and top from 0, width and height from 1"
