"""Tables as text: a CSV as a spreadsheet of any country writes it, read whole or refused with row and remedy."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from search_spaces.files import require_file
from search_spaces.spelling import spelling, spelt_twice

MOST = 20  # problems of a file that are spelled out; the rest is counted
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SHOWN = 60  # characters of a cell in a message


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table's cells, row by row, and the line of the file at which each row ends. Blank rows are left out.

    problems: rows that have another number of cells than the header; they are not among the rows.
    """

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    problems: list[str]


def read(path: Path, needed: Sequence[str]) -> Sheet:
    """A CSV in UTF-8 whose cells are separated by commas, semicolons or tabs, as its header shows.

    Raises UserError where it cannot be read, a needed column is missing or one is there twice.
    """
    require_file(path, f"a CSV file with the columns {', '.join(needed)}")
    csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            separator = max(_SEPARATORS, key=header.count)
            return _rows(path, needed, csv.reader(file, delimiter=separator), separator)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; expected: a CSV file with the columns {', '.join(needed)}") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not in UTF-8 (byte {error.object[error.start]:#04x} of {error.reason}); save it as CSV UTF-8"
        ) from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not a readable table ({error})") from None


def columns_problems(path: Path, columns: Sequence[str], needed: Sequence[str]) -> list[str]:
    """Columns that are missing, with what may have been meant, and those that are there twice."""
    alike = {spelling(name): name for name in columns if name not in needed}
    missing = [name for name in needed if name not in columns]
    problems = []
    if missing:
        meant = [f"{alike[spelling(name)]!r} for {name}" for name in missing if spelling(name) in alike]
        instead = f" (it has {', '.join(meant)})" if meant else ""
        problems.append(f"{path}: columns missing: {', '.join(missing)}{instead}; needed are {', '.join(needed)}")
    twice = [name for name in dict.fromkeys(columns) if list(columns).count(name) > 1]
    problems += [f"{path}: two columns are called {name!r}; leave one" for name in twice]
    pairs = [" and ".join(map(repr, group)) for group in spelt_twice(columns)]
    return problems + [f"{path}: the columns {pair} are one name in two spellings; leave one" for pair in pairs]


def cut(problems: Sequence[str]) -> list[str]:
    """The first problems, and how many more there are."""
    more = len(problems) - MOST
    return [*problems[:MOST], *([f"... and {more:,} more like these"] if more > 0 else [])]


def shown(cell: object) -> str:
    """A cell in a message: no more than its beginning."""
    words = cell if isinstance(cell, str) else repr(cell)
    return repr(words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…")


def _rows(path: Path, needed: Sequence[str], reader: Any, separator: str) -> Sheet:
    columns = [name.strip() for name in next(reader, [])]
    width = len(columns)
    while columns and not columns[-1]:  # a separator at the end of the header, as of the rows below
        columns.pop()
    if problems := columns_problems(path, columns, needed):
        raise UserError(problems)
    known: dict[str, str] = {}  # the same words come in every row
    rows, lines = [], []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) == width and not any(cells[len(columns) :]):
            cells = cells[: len(columns)]
        if len(cells) != len(columns):
            problems.append(f"{path}, row {reader.line_num}: {_misfit(len(cells), len(columns), separator)}")
            continue
        rows.append([known.setdefault(cell, cell) for cell in cells])
        lines.append(reader.line_num)
    if not rows and not problems:
        raise UserError(f"{path}: no rows below the header")
    return Sheet(columns, rows, lines, problems)


def _misfit(cells: int, columns: int, separator: str) -> str:
    """That a row has another number of cells than the header, and what may have done it."""
    count = f"{cells} by {_SEPARATORS[separator]}, not {columns}"
    if cells < columns:
        return f"fewer fields than the header names ({count})"
    remedy = "; write 0.5 for 0,5, or put a cell that holds a comma in quotes" if separator == "," else ""
    return f"more fields than the header names ({count}){remedy}"
