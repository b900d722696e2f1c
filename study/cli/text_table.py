"""Tables for a terminal: one that is too wide drops columns or puts them on lines below; no number or name is cut."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from study.cli.terminal import Parts, folded, shown

_GAP = "  "
_INDENT = "    "
ABSENT = frozenset(("", "-", "–"))


@dataclass(frozen=True)
class Column:
    """A column. Where the table is too wide, `below` moves its cells to lines of their own below each row.

    drop: 0 for a column that stays. Of the others, where that is not enough, those go first in which every cell is
    absent, then those with the highest number.
    """

    title: str
    numeric: bool = False
    drop: int = 0
    below: bool = False


@dataclass(frozen=True)
class TextTable:
    """A table that fits the terminal it is printed to.

    Where even its columns that stay are too wide, a row is its first cell and, below, the others behind their titles.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if self.title:
            yield from (Text(line, style="bold") for line in folded(_line(self.title), width))
        cells = [[_line(cell) for cell in row] for row in self.rows]
        beside, below, dropped = self._arranged(cells, width)
        if beside:
            yield from self._as_columns(cells, beside, below, width, "-" if options.ascii_only else "─")
        else:
            yield from map(Text, self._as_records(cells, width))
        if dropped:
            yield from map(Text, folded(f"(no room for: {', '.join(dropped)})", width))
        yield Text()

    def _arranged(self, cells: list[list[str]], width: int) -> tuple[dict[int, int], list[int], list[str]]:
        """The columns side by side with their widths, those below each row, and the titles of those without room."""
        beside, below, dropped = list(range(len(self.columns))), list[int](), list[str]()
        absent = {i: ABSENT.issuperset(row[i] for row in cells) for i in beside}
        while (widths := self._widths(cells, beside, width)) is None:
            droppable = [i for i in beside if self.columns[i].drop]
            if movable := [i for i in beside if self.columns[i].below]:
                beside.remove(movable[0])
                below.append(movable[0])
            elif droppable:
                least = max(droppable, key=lambda i: (absent[i], self.columns[i].drop))
                beside.remove(least)
                dropped += [] if absent[least] else [self.columns[least].title]
            else:
                return {}, [], []
        return widths, below, dropped

    def _widths(self, cells: list[list[str]], beside: list[int], width: int) -> dict[int, int] | None:
        """Widths of these columns side by side; None where they do not fit. A title is wrapped before a column goes."""
        titles = {i: self.columns[i].title for i in beside}
        widths = {
            i: max(cell_len(text) for text in (*(row[i] for row in cells), *titles[i].split(" "))) for i in beside
        }
        spare = width - sum(widths.values()) - len(_GAP) * (len(beside) - 1)
        for i, title in titles.items():
            if 0 < (more := cell_len(title) - widths[i]) <= spare:
                widths[i] += more
                spare -= more
        return widths if spare >= 0 else None

    def _as_columns(
        self, cells: list[list[str]], beside: dict[int, int], below: list[int], width: int, rule: str
    ) -> Iterator[Text]:
        titles = {i: folded(self.columns[i].title, room) for i, room in beside.items()}
        for number in range(height := max(map(len, titles.values()))):
            missing = {i: height - len(lines) for i, lines in titles.items()}  # titles stand on the rule
            words = {i: lines[number - missing[i]] if number >= missing[i] else "" for i, lines in titles.items()}
            yield Text(self._row(words, beside), style="bold")
        yield Text(rule * (sum(beside.values()) + len(_GAP) * (len(beside) - 1)))
        for row in cells:
            yield Text(self._row(dict(enumerate(row)), beside))
            for i in below:
                if row[i] not in ABSENT:
                    lines = folded(f"{self.columns[i].title}: {row[i]}", width - len(_INDENT))
                    yield from (Text(_INDENT + line) for line in lines)

    def _row(self, words: dict[int, str], beside: dict[int, int]) -> str:
        padded = []
        for i, room in beside.items():
            space = " " * (room - cell_len(words[i]))
            padded.append(space + words[i] if self.columns[i].numeric else words[i] + space)
        return _GAP.join(padded).rstrip()

    def _as_records(self, cells: list[list[str]], width: int) -> Iterator[str]:
        for row in cells:
            yield from folded(row[0], width)
            others = zip(self.columns[1:], row[1:], strict=True)
            parts = Parts([f"{column.title} {cell}" for column, cell in others if cell not in ABSENT])
            yield from (_INDENT + line for line in parts.lines(max(1, width - len(_INDENT))))


@dataclass(frozen=True)
class Facts:
    """Names with what is known of each; long values go on, indented, on the lines below."""

    title: str
    facts: Mapping[str, str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        room = max(map(cell_len, self.facts))
        yield from (Text(line, style="bold") for line in folded(_line(self.title), width))
        for name, value in self.facts.items():
            first, *rest = folded(_line(value), max(1, width - room - len(_GAP)))
            yield Text(f"{name:{room}}{_GAP}{first}")
            yield from (Text(" " * room + _GAP + line) for line in rest)
        yield Text()


def _line(text: str) -> str:
    """Text on one line."""
    return shown(text).replace("\n", r"\n").replace("\t", r"\t")
