"""What others have published, as published: beside this study's own rows, never tested against."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.questions.ablation import Ablation
from analysis.results import sheets
from analysis.tables import Column, Row, Table, absent, interval, number, text
from search_spaces.errors import UserError
from search_spaces.spelling import spelling, spelt_twice

COLUMNS = ("method", "dataset", "metric", "value", "clips", "source", "marks")
# What makes a published number another quantity than ours. Further marks are shown in words.
MARKS = {
    "epoch chosen on the test fold": "†",
    "precision called recall": "‡",
    "another number of clips": "§",
}
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]*)?|-?\.[0-9]+")


@dataclass(frozen=True)
class Published:
    """A row of the literature table. value as printed there; marks from MARKS, or in the reader's words."""

    method: str
    dataset: str
    metric: str
    value: float
    clips: int | None
    source: str
    marks: tuple[str, ...]


def read(path: Path) -> tuple[Published, ...]:
    """A CSV with the columns method, dataset, metric, value, clips, source, marks (separated by `;`).

    clips and marks may be empty. Raises UserError with every row that is wrong.
    """
    sheet = sheets.read(path, COLUMNS)
    rows, problems = [], sheet.problems
    for line, cells in zip(sheet.lines, sheet.rows, strict=True):
        row = dict(zip(sheet.columns, cells, strict=True))
        wrong = [f"no {name}" for name in ("method", "dataset", "metric", "source") if not row[name].strip()]
        value, clips = _number(row["value"]), _number(row["clips"])
        if value is None or not 0 <= value <= 1:
            wrong.append(f"value {row['value']!r} is not a number from 0 to 1 (for 73.5 % write 0.735)")
        if row["clips"].strip() and (clips is None or clips != int(clips) or clips < 1):
            wrong.append(f"clips {row['clips']!r} is not a whole number of at least 1")
        if wrong:
            problems.append(f"{path}, row {line}: {'; '.join(wrong)}")
            continue
        marks = tuple(mark.strip() for mark in row["marks"].split(";") if mark.strip())
        method, dataset, metric = (row[name].strip() for name in ("method", "dataset", "metric"))
        count = None if clips is None else int(clips)
        rows.append(Published(method, dataset, metric, value or 0.0, count, row["source"], marks))
    for name in ("method", "dataset", "metric"):
        problems += [
            f"{path}: {' and '.join(map(repr, group))} are one {name} in {len(group)} spellings; write it in one"
            for group in spelt_twice({getattr(row, name) for row in rows})
        ]
    if problems:
        raise UserError(sheets.cut(problems))
    return tuple(rows)


def as_published(rows: Sequence[Published], found: Ablation | None, dataset: str, clips: int) -> Table | None:
    """This study's baseline, then the published rows in their order; None without any."""
    if not rows:
        return None
    marked = [(row, _marks(row, dataset, clips)) for row in rows]
    used = dict.fromkeys(mark for _, marks in marked for mark in marks)
    signs = {mark: MARKS.get(mark, f"({i})") for i, mark in enumerate(used, 1)}
    columns = (
        Column("Method", ("method",), numeric=False),
        Column("Dataset", ("dataset",), numeric=False),
        Column("Metric", ("metric",), numeric=False),
        Column("Value", ("value", "value_low", "value_high")),
        Column("Clips", ("clips",)),
        Column("Params", ("parameters",)),
        Column("Source", ("source",), numeric=False),
    )
    lines = [_published(row, "".join(signs[mark] for mark in marks)) for row, marks in marked]
    caption = (
        "As published, with other code, crops, folds and choices. These rows were not run here and are not tested "
        "against: a difference to them has no interval. Marks stand where the number is known to be another quantity."
    )
    notes = tuple(f"{sign} {mark}." for mark, sign in signs.items())
    return Table("literature", "As published", caption, columns, (*_own(found, dataset, clips), *lines), notes)


def _own(found: Ablation | None, dataset: str, clips: int) -> list[Row]:
    base = found.baseline if found else None
    if found is None or base is None or base.score is None:
        return []
    name, value = text(f"this study's {found.centre}"), interval(base.span)
    parameters = number(base.cost.parameters)
    cells = (name, text(dataset), text("UF1 [95 % CI]"), value, number(clips), parameters, text("this report"))
    return [Row("baseline", cells)]


def _published(row: Published, signs: str) -> Row:
    words = (text(row.method), text(row.dataset), text(row.metric))
    value = number(row.value, 3, parts=3, marks=signs)
    return Row("plain", (*words, value, number(row.clips), absent(), text(row.source)))


def _marks(row: Published, dataset: str, clips: int) -> tuple[str, ...]:
    """A row's own marks, and that it counts other clips of this dataset than we do."""
    other = spelling(row.dataset) == spelling(dataset) and row.clips not in (None, clips)
    return tuple(dict.fromkeys([*row.marks, *(["another number of clips"] if other else [])]))


def _number(value: str) -> float | None:
    """A decimal number in plain digits; None of anything else."""
    number = float(value) if _DECIMAL.fullmatch(value.strip()) else math.nan
    return number if math.isfinite(number) else None
