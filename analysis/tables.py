"""One table object, written as CSV, Markdown, LaTeX (booktabs) and HTML with the same numbers.

A cell rounds its numbers once; every format shows those digits.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis import latex

ABSENT = "–"
MOST_ROWS = 200  # of a table as it is shown; its CSV and JSON have all


@dataclass(frozen=True)
class Column:
    """A column: its title, and the names of its numbers in the CSV (an interval has three)."""

    title: str
    names: tuple[str, ...]
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """values: as computed. digits: as shown, one by one, in plain ASCII. text: put together for people."""

    values: tuple[Any, ...]
    digits: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Row:
    """kind says how to show it: baseline, variant, null, control, constant, missing, plain."""

    kind: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table with its caption and the notes below it. Raises ValueError for two numbers of one name in the CSV."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if twice := [name for name, times in Counter(self.names()).items() if times > 1]:
            raise ValueError(f"table {self.name}: two columns are called {', '.join(twice)}; a name is one number")

    def names(self) -> list[str]:
        """The columns of the CSV, the row's kind first."""
        return ["kind", *(name for column in self.columns for name in column.names)]

    def titles(self) -> list[str]:
        return [column.title for column in self.columns]

    @cached_property
    def filled(self) -> tuple[int, ...]:
        """The places of the columns that hold anything: pages and LaTeX leave the others out, CSV and JSON do not."""
        return tuple(i for i in range(len(self.columns)) if any(row.cells[i].text != ABSENT for row in self.rows))

    def _filled_texts(self) -> tuple[list[Column], list[list[str]]]:
        """The columns that hold anything, and their cells as shown, row by row."""
        rows = [[row.cells[i].text for i in self.filled] for row in self.shown]
        return [self.columns[i] for i in self.filled], rows

    @property
    def shown(self) -> tuple[Row, ...]:
        """The rows that a page or a terminal shows: of a long table the first."""
        return self.rows[:MOST_ROWS]

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and that of a long table more rows are in its CSV."""
        cut = f"The first {MOST_ROWS} of {len(self.rows):,} rows; {self.name}.csv has them all."
        return self.notes if len(self.rows) <= MOST_ROWS else (*self.notes, cut)

    def texts(self) -> list[list[str]]:
        """The cells as shown, row by row."""
        return [[cell.text for cell in row.cells] for row in self.shown]

    def to_csv(self) -> str:
        """One column a number, so that an interval gives three."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.names())
        writer.writerows([row.kind, *(digits for cell in row.cells for digits in cell.digits)] for row in self.rows)
        return out.getvalue()

    def to_markdown(self) -> str:
        """A pipe table under its title and caption, notes below."""
        columns, cells = self._filled_texts()
        rule = ["---:" if column.numeric else ":---" for column in columns]
        rows = [[column.title for column in columns], rule, *cells]
        lines = ["| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in row) + " |" for row in rows]
        notes = ["", *(f"- {remark}" for remark in self.remarks)] if self.remarks else []
        return "\n".join([f"### {self.title}", "", self.caption, "", *lines, *notes]) + "\n"

    def to_latex(self, paper: bool = False) -> str:
        r"""A table to \input, without preamble; paper: at the size of the text (see analysis.latex.table)."""
        columns, rows = self._filled_texts()
        titles, numeric = [column.title for column in columns], [column.numeric for column in columns]
        words = self.name, self.title, self.caption
        return latex.table(*words, titles, numeric, rows, " ".join(self.remarks), paper)

    def to_json(self) -> dict[str, Any]:
        """Every number as computed, under the names of the CSV; NaN and infinity become null."""
        rows = [
            dict(zip(self.names(), [row.kind, *(_plain(v) for cell in row.cells for v in cell.values)], strict=True))
            for row in self.rows
        ]
        return {
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "rows": rows,
            "notes": list(self.notes),
        }


def text(value: str | None, *more: str) -> Cell:
    """Words; None leaves the cell empty. `more` goes to further columns of the CSV, where there is room."""
    return Cell((value, *more), (value or "", *more), value if value else ABSENT)


def number(value: float | int | None, digits: int = 0, parts: int = 1, marks: str = "", signed: bool = False) -> Cell:
    """A number with this many decimals, thousands set apart by commas; NaN and None are absent.

    parts: numbers that the column has, of which this is the first (an estimate without its interval). marks: signs
    behind it, as of a footnote.
    """
    if value is None or math.isnan(value):
        return absent(parts)
    shown = _signed(value, digits) if signed or value < 0 else f"{value:.{digits}f}"
    rest = parts - 1
    words = f"{float(shown):{'+' if shown.startswith('+') else ''},.{digits}f}" if digits else f"{round(value):,}"
    return Cell((value, *[None] * rest), (shown, *[""] * rest), words.replace("-", "−") + marks)


def probability(p: float | None) -> Cell:
    """A p with four decimals; one that would round to 0 is told as below the smallest that is shown."""
    return number(p, 4) if p is None or p >= 5e-5 else Cell((p,), ("<0.0001",), "<0.0001")


def interval(values: Sequence[float | None] | None, digits: int = 3, signed: bool = False) -> Cell:
    """An estimate with its interval: `0.699 [0.637, 0.755]`, or `0.699 [–]` where its ends are None."""
    if values is None:
        return absent(3)
    shown = tuple("" if v is None else _signed(v, digits) if signed else f"{v:.{digits}f}" for v in values)
    middle, low, high = (part.replace("-", "−") for part in shown)
    return Cell(tuple(values), shown, f"{middle} [{low}, {high}]" if low and high else f"{middle} [{ABSENT}]")


def tally(counts: Sequence[int] | None, parts: int = 3) -> Cell:
    """Counts side by side: `7/1/4`."""
    if counts is None:
        return absent(parts)
    shown = tuple(str(value) for value in counts)
    return Cell(tuple(counts), shown, "/".join(shown))


def absent(parts: int = 1) -> Cell:
    """Nothing to show."""
    return Cell((None,) * parts, ("",) * parts, ABSENT)


def _signed(value: float, digits: int) -> str:
    shown = f"{value:+.{digits}f}"
    return shown[1:] if float(shown) == 0 else shown  # zero has no sign


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
