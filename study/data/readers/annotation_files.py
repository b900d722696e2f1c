"""Annotation files as their owners ship them: Excel or CSV, prose above the header, text below the table."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from search_spaces.errors import UserError
from search_spaces.files import require_file
from study.data import csv_tables
from study.data.readers.findings import limited

NOTHING = frozenset({"", "/", "-", "none"}) | csv_tables.NOTHING  # how annotations write that there is no value

LIMIT = 2**31  # of frames' numbers: no video has as many
LARGEST = 2**26  # bytes of a workbook once unpacked: the datasets' have some hundred thousand
MOST_COLUMNS = 64  # that are read: a sheet that was formatted to its end says that it has 16,384


@dataclass(frozen=True)
class Line:
    """A row of an annotation: where it stands, and its cells as text by the name of their column."""

    where: str
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


def find(root: Path, pattern: str, chosen: str | None, example: str) -> Path:
    """The annotation below a dataset's folder: the file that the option `annotation` names, or the one whose name fits.

    pattern: a regular expression for the name without suffix, in lower case. Raises UserError when there is not
    exactly one.
    """
    if chosen is not None:
        if not (root / chosen).is_file():
            raise UserError(f"dataset: option annotation: there is no file {root / chosen}")
        return root / chosen
    files = [*sorted(root.glob("*.*")), *sorted(root.glob("*/*.*"))]
    named = [path for path in files if re.search(pattern, path.stem.lower()) and not path.name.startswith(("~", "."))]
    found = [path for path in named if path.suffix.lower() in (".xlsx", ".csv")]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(path.relative_to(root)) for path in found)
        raise UserError(f"{root}: there are several annotations; name one by the option annotation: {names}")
    old = "; save the .xls as .xlsx or .csv" if any(path.suffix.lower() == ".xls" for path in named) else ""
    raise UserError(f"{root}: there is no annotation; expected: {example} (.xlsx or .csv) in this folder{old}")


def raw_rows(file: Path, sheet: str | None = None) -> list[tuple[str, list[str]]]:
    """Where each row that is not empty stands, and its cells as text. The first sheet where none is named."""
    if file.suffix.lower() == ".csv":
        return [(f"{file}, row {line}", row) for line, row in csv_tables.cells(file)]
    with _workbook(file) as book:
        chosen = book[sheet] if sheet else book.worksheets[0]
        rows = chosen.iter_rows(values_only=True, max_col=min(chosen.max_column or MOST_COLUMNS, MOST_COLUMNS))
        filled = [(number, row) for number, row in enumerate(rows, 1) if any(cell is not None for cell in row)]
    texts = [(f"{file}, row {number}", [text(cell) for cell in row]) for number, row in filled]
    return [(where, row) for where, row in texts if any(row)]


def sheets(file: Path) -> list[str]:
    """Names of a workbook's sheets; one nameless sheet for CSV."""
    if file.suffix.lower() == ".csv":
        return [""]
    with _workbook(file) as book:
        return list(book.sheetnames)


@contextmanager
def _workbook(file: Path) -> Iterator[Any]:
    """A workbook that is read row by row. Raises UserError where it, or what is read of it, is damaged."""
    from openpyxl import load_workbook

    require_file(file, "a workbook")
    try:
        with ZipFile(file) as parts:
            if (size := sum(part.file_size for part in parts.infolist())) > LARGEST:
                raise ValueError(f"{size / 2**20:.0f} MiB once unpacked, of at most {LARGEST / 2**20:.0f}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of styles and extensions, which are not data
            book = load_workbook(file, read_only=True, data_only=True)
        try:
            yield book
        finally:
            book.close()
    except Exception as error:  # openpyxl raises whatever it stumbles over: ParseError, zlib.error, IndexError
        raise UserError(f"{file}: not readable as a table ({error}); expected: .xlsx, or .csv in UTF-8") from error


def text(cell: Any) -> str:
    """A cell as text: no spaces around it, whole numbers without a decimal point, nothing as ''."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).replace("\xa0", " ").strip()


def table(
    rows: Sequence[tuple[str, list[str]]], first: str, columns: Mapping[str, Sequence[str]], file: Path
) -> list[Line]:
    """Rows below the header, which is the first row whose first cell is `first`, however much prose stands above it.

    columns: name -> the spellings of its header, compared without case, spaces and signs; `name?` may be missing.
    Raises UserError with every column that is missing.
    """
    at = next((i for i, (_, row) in enumerate(rows) if plain(row[0]) == first), None)
    if at is None:
        raise UserError(f"{file}: there is no header; expected: a row that begins with {first.capitalize()}")
    header = [plain(cell) for cell in rows[at][1]]
    found = {name: [spelling for spelling in spellings if spelling in header] for name, spellings in columns.items()}
    if absent := [columns[name][0] for name, spellings in found.items() if not spellings and not name.endswith("?")]:
        there = ", ".join(cell for cell in rows[at][1] if cell)
        raise UserError([f"{rows[at][0]}: the column {name} is missing; there are: {there}" for name in absent])
    if twice := [name for spellings in found.values() for name in spellings[:1] if header.count(name) > 1]:
        raise UserError([f"{rows[at][0]}: the column {name} stands in the header twice; leave one" for name in twice])
    if file.suffix.lower() == ".csv":  # in a workbook nothing shifts, and a remark may stand beside the table
        check_width(rows[at + 1 :], len(header))
    places = {name.rstrip("?"): header.index(spellings[0]) if spellings else None for name, spellings in found.items()}
    return [Line(where, {name: cell_at(row, place) for name, place in places.items()}) for where, row in rows[at + 1 :]]


def check_width(rows: Sequence[tuple[str, list[str]]], width: int) -> None:
    """Raise UserError with the rows of a CSV that have more cells than there are columns: theirs have shifted."""
    problems = [f"{where}: {csv_tables.misfit(row, [''] * width)}" for where, row in rows if any(row[width:])]
    if problems:
        raise UserError(limited(problems))


def cell_at(row: Sequence[str], place: int | None) -> str:
    """A row's cell, '' where the row is shorter or the column is not there."""
    return row[place] if place is not None and place < len(row) else ""


def plain(header: str) -> str:
    """A header without case, spaces and signs: `Onset Frame` and `OnsetFrame` are one."""
    return re.sub(r"[^a-z0-9]", "", header.lower())


def frame(cell: str) -> int | None:
    """A frame's number; None where the cell says that there is none. Raises ValueError."""
    if cell.lower() in NOTHING:
        return None
    value = csv_tables.number(cell)
    if not value.is_integer() or abs(value) >= LIMIT:
        raise ValueError(cell)
    return int(value)


def zero_is_none(value: int | None) -> int | None:
    """An apex or offset of 0 is an unknown one: no expression peaks or ends in the frame before the first."""
    return value or None
