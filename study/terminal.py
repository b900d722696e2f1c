"""What a terminal shows: text as it is, and the columns of a report's table that fit."""

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import analysis.tables

_SHOWN = {"Variant", "UF1 [95 % CI]", "ΔUF1 [95 % CI]", "p adj", "Verdict", "Rank", "Trial", "UF1 (naive)", "State"}


def plain(text: str) -> str:
    """Text in which Rich sees no markup."""
    return text.replace("[", r"\[")


def print_table(console: Console, table: "analysis.tables.Table") -> None:
    """The columns of a table that fit a terminal; the report has them all."""
    shown = [i for i, column in enumerate(table.columns) if column.title in _SHOWN]
    rich = Table(title=plain(table.title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i in shown:
        rich.add_column(plain(table.columns[i].title), justify="right" if table.columns[i].numeric else "left")
    for row in table.texts():
        rich.add_row(*(plain(row[i]) for i in shown))
    console.print(rich)
