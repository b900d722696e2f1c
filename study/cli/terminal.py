"""What a terminal shows: a user's words as they are, in lines that fit it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

if TYPE_CHECKING:
    import analysis.tables

# What would steer a terminal (control characters, changes of the direction of writing), and halves of characters.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# The columns of a report's table that a terminal shows; those with the highest number go first where they do not fit.
_REPORTED = {
    "Variant": 0,
    "Trial": 0,
    "UF1 [95 % CI]": 0,
    "UF1 (naive)": 0,
    "Verdict": 0,
    "State": 0,
    "ΔUF1 [95 % CI]": 1,
    "Rank": 2,
    "p adj": 3,
}


def make_console(*, stderr: bool = False) -> Console:
    """A console to which a user's words are neither markup nor emoji nor numbers to colour."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


console, errors = make_console(), make_console(stderr=True)


def shown(text: str) -> str:
    """Text in which what would steer a terminal, or could not be written to it, is a backslash and a number."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(console: Console, text: str, mark: str = "", style: str = "", *, wrap: bool = True) -> None:
    """Print words, behind a mark in a colour where one is given; `wrap`: in lines of the console's width."""
    told = " ".join(filter(None, (mark, shown(text))))
    words = Text("\n".join(wrapped(told, console.width)) if wrap else told)
    words.stylize(style, 0, len(mark))
    console.print(words, soft_wrap=True)


def say_where(console: Console, what: str, where: str) -> None:
    """A line behind its name, and below it where that is too long for one line."""
    line = f"{what:9}{where}"
    say(console, line if len(line) <= console.width else f"{what}\n{where}")


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most this width, broken at spaces; a longer word, such as a path, stays whole."""
    return [line for part in text.split("\n") for line in _filled(part.split(" "), " ", width)]


def folded(text: str, width: int) -> list[str]:
    """Lines of at most this width, broken at spaces, and inside a word only where it is longer than a line."""
    lines = []
    for line in wrapped(text, width):
        while cell_len(line) > width:
            head = Text(line)
            head.truncate(width, overflow="crop")
            kept = max(1, len(head.plain.rstrip()))
            lines.append(line[:kept])
            line = line[kept:]
        lines.append(line)
    return lines


def _filled(parts: Iterable[str], between: str, width: int) -> Iterator[str]:
    """As many parts a line as fit."""
    line: str | None = None
    for part in parts:
        longer = part if line is None else f"{line}{between}{part}"
        if line is not None and cell_len(longer) > width:
            yield line.rstrip()
            longer = part
        line = longer
    yield (line or "").rstrip()


@dataclass(frozen=True)
class Parts:
    """Short texts one after another; a line ends between two of them."""

    parts: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines(options.max_width):
            yield Text(line)

    def lines(self, width: int) -> list[str]:
        """As a terminal of this width shows them."""
        lines = _filled(map(shown, self.parts), " · ", width)
        return [part for line in lines for part in folded(line, width)]


def print_table(console: Console, table: "analysis.tables.Table") -> None:
    """The columns of a report's table that fit a terminal; the report has them all."""
    from study.cli.text_table import ABSENT, Column, TextTable

    texts = table.texts()
    at = [i for i, column in enumerate(table.columns) if column.title in _REPORTED]
    at = [i for i in at if any(row[i] not in ABSENT for row in texts)]
    columns = [Column(table.columns[i].title, table.columns[i].numeric, _REPORTED[table.columns[i].title]) for i in at]
    console.print(TextTable(table.title, columns, [[row[i] for i in at] for row in texts]))
