"""Reader of a user's own dataset: a CSV or Parquet table with the columns of CLIP_INDEX, beside the videos."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PureWindowsPath
from stat import S_ISDIR, S_ISREG
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search_spaces.errors import UserError
from search_spaces.files import require_file, wrong_kind
from search_spaces.yaml_file import unprintable
from study.data import csv_tables
from study.data.clips import CLIP_INDEX, ClipIndex
from study.data.csv_tables import misfit
from study.data.readers.findings import Findings, Survey, index_of, survey_of
from study.data.readers.folders import unfit_sources
from study.data.synthetic.planted_answer import planted

REQUIRED = ("clip_id", "subject", "label", "onset", "offset", "source")
FACE = ("face_left", "face_top", "face_width", "face_height")
LIMIT = 2**31  # of whole numbers: no video has as many frames
KINDS = {  # by column
    field.name: str if pa.types.is_string(field.type) else int if pa.types.is_integer(field.type) else float
    for field in CLIP_INDEX
}
UNNAMED = "manifest"  # the dataset of a row that names none
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
    typed_rows = [(where, *typed(row, file.parent), short) for where, row, short in raw_rows(file)]
    if not typed_rows:
        raise UserError(f"{file}: holds no clips; expected: a row for each")
    whole = [row for _, row, _, short in typed_rows if not short]
    classes = dict.fromkeys(demanded or sorted({row["label"] for row in whole if row["label"]}))
    rows: list[Row] = []
    for where, row, bad_cells, short in typed_rows:
        problems = [short] if short else bad_cells or list(row_problems(row, file.parent, classes))
        for problem in problems:
            found.wrong("annotation", f"{file}, {where}", problem)
        rows += [] if problems else [row]
    found.together(str(file), whole, tuple(classes))
    found.problems += unfit_sources(rows, file.parent)
    datasets = {row["dataset"] for _, row, _, _ in typed_rows}
    # Rows keep the word for no dataset, which exported tables hold; people are shown the folder's name.
    name = file.resolve().parent.name if datasets == {UNNAMED} else "+".join(sorted(datasets))
    return replace(survey_of(name, file.parent, tuple(classes), rows, found), truth=planted(file.parent / "truth.json"))


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
    if not path.is_dir():
        require_file(path, expected)
        return path
    found = [path / name for name in NAMES if (path / name).exists()]
    if not found:
        raise UserError(f"{path}: holds no annotation; expected: {expected}")
    return found[0]


def raw_rows(file: Path) -> Iterator[tuple[str, Row, str | None]]:
    """Where each row stands, its cells as text, None where empty, and what is wrong with it where it does not fit.

    Raises UserError when it is no table, or its header lacks a column or has one twice.
    """
    if file.suffix == ".parquet":
        yield from _parquet(file)
        return
    rows = csv_tables.cells(file)
    header = next(rows, (0, []))[1]
    _check_header(file, header)
    for line, row in rows:
        yield f"line {line}", {name: cell or None for name, cell in zip(header, row, strict=False)}, misfit(row, header)


def _parquet(file: Path) -> Iterator[tuple[str, Row, None]]:
    require_file(file, "a Parquet table")
    try:
        table = pq.ParquetFile(file)
        _check_header(file, table.schema_arrow.names)
        _check_types(file, table.schema_arrow)
        rows = chain.from_iterable(batch.to_pylist() for batch in table.iter_batches())
        for place, row in enumerate(rows, 1):
            texts = {name: None if cell is None else str(cell).strip() or None for name, cell in row.items()}
            yield f"row {place}", texts, None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file}: not readable as a table ({error}); expected: Parquet") from error


def _check_header(file: Path, header: Sequence[str]) -> None:
    """Raise UserError when a column is missing or stands there twice."""
    twice = [name for name, times in Counter(header).items() if times > 1 and name]
    problems = [f"{file}: the column {name} stands in the header twice; leave one" for name in twice]
    there = ", ".join(header)
    problems += [f"{file}: the column {name} is missing; there are: {there}" for name in REQUIRED if name not in header]
    if problems:
        raise UserError(problems)


def _check_types(file: Path, schema: pa.Schema) -> None:
    """Raise UserError where a column's cells have no plain text: what Python prints of bytes or a list is no name."""
    kinds = pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_nested
    odd = [column for column in schema if column.name in KINDS and any(is_one(column.type) for is_one in kinds)]
    if odd:
        expected = "expected: text or numbers"
        raise UserError([f"{file}: the column {column.name} holds {column.type}; {expected}" for column in odd])


def typed(row: Row, root: Path) -> tuple[Row, list[str]]:
    """A row's cells as values of CLIP_INDEX, and what is wrong with them."""
    values: Row = {"dataset": UNNAMED}
    problems = []
    for name, kind in KINDS.items():
        text = row.get(name)
        if text is not None and text.lower() in csv_tables.NOTHING:
            problems += [f"{name} is {text!r}, no value; write one"] if name in REQUIRED else []
            text = None
        elif text is None and name in REQUIRED:
            problems.append(f"{name} is empty")
        if text is None:
            values.setdefault(name, None)
            continue
        if kind is str and (wrong := unprintable(text) or _several_lines(text)):
            problems.append(f"{name} is {text!r}: {wrong}")
        try:
            values[name] = text if kind is str else whole(text) if kind is int else csv_tables.number(text)
        except ValueError:
            values[name] = None
            valid = "a whole number below 2^31" if kind is int else "a number with a decimal point"
            problems.append(f"{name} is {text!r}; valid: {valid}, in digits 0 to 9")
    return _with_slashes(values, root), problems


def _several_lines(text: str) -> str | None:
    return "it has several lines; expected: text on one" if len(text.splitlines()) > 1 else None


def whole(text: str) -> int:
    """A cell's whole number; `12.0` is 12, as spreadsheets write it. Raises ValueError."""
    value = csv_tables.number(text)
    if not value.is_integer() or abs(value) >= LIMIT:
        raise ValueError(text)
    return int(value)


def row_problems(row: Row, root: Path, classes: Collection[str]) -> Iterator[str]:
    """What is wrong with one clip whose cells are readable. classes: quick to look into, for there may be many rows."""
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
    if wrong := _not_there(root, row["source"]):
        yield f"source {row['source']} is {wrong}; expected: a video or a folder of images, {root / row['source']}"
    if row["landmarks"] is not None and (wrong := _not_there(root, row["landmarks"])):
        expected = f"expected: {root / row['landmarks']}, or nothing where there are none"
        yield f"landmarks {row['landmarks']} are {wrong}; {expected}"
    yield from face_problems([row[name] for name in FACE])


def _not_there(root: Path, name: str) -> str | None:
    """What is wrong with a file or folder that a row names; None where it is there."""
    try:
        mode = (root / name).stat().st_mode
    except (OSError, ValueError):  # not only where nothing is: a name may be too long, or hold a zero byte
        mode = 0
    if S_ISREG(mode) or S_ISDIR(mode):
        return None
    if mode:
        return wrong_kind(root / name)
    windows = "\\" in name or PureWindowsPath(name).drive
    return f"missing{' (write it relative to the table, with /)' if windows else ''}"


def _with_slashes(row: Row, root: Path) -> Row:
    """The row with the paths that Windows writes, `s1\\a.avi`, as they are read everywhere, where they are there so."""
    for column in ("source", "landmarks"):
        name = row[column] or ""
        if "\\" in name and _not_there(root, name) and not _not_there(root, slashed := name.replace("\\", "/")):
            row = row | {column: slashed}
    return row


def face_problems(face: list[int | None]) -> Iterator[str]:
    """What is wrong with a face box (left, top, width, height)."""
    given = [side for side in face if side is not None]
    if given and len(given) < len(face):
        yield f"the face box is incomplete; give all of {', '.join(FACE)}, or none (then the whole frame is the face)"
    elif given and (min(given[:2]) < 0 or min(given[2:]) < 1):
        yield f"the face box is {given}; valid: left and top from 0, width and height from 1"
