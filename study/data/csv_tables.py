"""CSV tables as people's programs write them: commas, semicolons or tabs; and cells that are numbers or say nothing."""

import csv
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from search_spaces.errors import UserError
from search_spaces.files import require_file

DELIMITERS = (",", ";", "\t")
LOOKED_AT = 100  # rows by which the delimiter is told
NOTHING = frozenset({"na", "n/a", "#n/a", "nan", "null"})  # how R, pandas, Excel and SQL write that there is no value
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_EXPECTED = "expected: CSV in UTF-8, as `CSV UTF-8` of a spreadsheet"


def cells(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row ends and its cells, no spaces around them; rows without any text are left out.

    Raises UserError where the file is no CSV in UTF-8, however far it was read.
    """
    require_file(file, "a CSV file")
    try:
        separator = delimiter(file)
        with file.open(newline="", encoding="utf-8-sig") as stream:
            # strict: a quote that is never closed would swallow every row below it
            reader = csv.reader(stream, delimiter=separator, strict=True)
            for row in reader:
                texts = [cell.replace("\xa0", " ").strip() for cell in row]
                if any(texts):
                    yield reader.line_num, texts
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file}: not readable as a table ({error}); {_EXPECTED}") from error


def delimiter(file: Path) -> str:
    """What separates a table's cells: the sign by which its first rows have the most. Raises as its reading does."""
    with file.open(newline="", encoding="utf-8-sig") as stream:
        lines = list(islice(stream, LOOKED_AT))
    return max(DELIMITERS, key=lambda sign: median([0, *(len(row) for row in csv.reader(lines, delimiter=sign))]))


def misfit(row: list[str], header: list[str]) -> str | None:
    """What is wrong with a row whose cells are not those of the header; None where nothing is."""
    if len(row) == len(header) or (len(row) > len(header) and not any(row[len(header) :])):
        return None
    remedy = (
        "write numbers with a decimal point (29.97), and text that holds the separator in double quotes"
        if len(row) > len(header)
        else "leave a cell empty, and its separator there, where there is no value"
    )
    return f"has {len(row)} cells, the header has {len(header)}: {remedy}"


def number(text: str) -> float:
    """A cell's number in plain digits, with a decimal point. Raises ValueError: for 1_0, ١٢, 29,97 and inf, too."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)
