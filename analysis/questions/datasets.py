"""The datasets of a composite side by side: an arm's score and difference in each, and whether these differ."""

import numpy as np

from analysis.questions.ablation import Ablation, Finding
from analysis.questions.captions import by_whom
from analysis.stats.confusion import Confusions, Counts
from analysis.stats.heterogeneity import ByDataset, by_dataset
from analysis.stats.inference import compare, interval
from analysis.tables import Cell, Column, Row, Table, absent, probability, text
from analysis.tables import interval as interval_cell

_ENDS = ("", "_low", "_high")


def table(found: Ablation, counted: Confusions) -> Table | None:
    """A row for the baseline and each variant that is compared; None without several datasets of two subjects each."""
    of = np.array([dataset for dataset, _ in counted.subjects])
    of = of if found.testers is None else of[found.testers]
    names = sorted(set(of.tolist()))
    parts = [of == name for name in names]
    base = found.baseline.score if found.baseline else None
    if len(names) < 2 or min(own.sum() for own in parts) < 2 or base is None or not found.family:
        return None
    columns = [Column("Variant", ("variant",), numeric=False)]
    for name in names:
        for title, measure in (("UF1", "uf1"), ("ΔUF1", "difference")):
            columns.append(Column(f"{title} {name} [95 % CI]", tuple(f"{measure}{e}_dataset_{name}" for e in _ENDS)))
    columns.append(Column("p heterogeneity", ("p_heterogeneity",)))
    columns.append(Column("ΔUF1 stratified [95 % CI]", ("stratified", "stratified_low", "stratified_high")))
    whole = found.of_testers(base.counts)
    alone = [cell for own in parts for cell in (_score(whole[own]), absent(3))]
    rows = [Row("baseline", (text(found.centre), *alone, absent(), absent(3)))]
    rows += [_row(f, found.of_testers(f.score.counts), whole, parts) for f in found.family if f.score]
    sizes = ", ".join(f"{name} {int(own.sum())}" for name, own in zip(names, parts, strict=True))
    caption = (
        "Each dataset's subjects by themselves: UF1 and its interval, and the difference to the baseline with that of "
        "its own subject swaps, not adjusted. p heterogeneity: that all datasets have one difference, Cochran's Q "
        "against swaps of the subjects' influences within datasets. Stratified: the datasets' differences weighted by "
        f"their numbers of subjects ({sizes}), which is declared here and not chosen."
    )
    said = " ".join([caption, *by_whom(found)])
    return Table(f"{found.stage}-by-dataset", "By dataset, with intervals", said, tuple(columns), tuple(rows))


def answer(made: Table) -> str:
    """Which differences are not the same everywhere."""
    differ = [row.cells[0].text for row in made.rows[1:] if _small(row)]
    if not differ:
        return "No: of no variant it is shown that its difference is another in one dataset than in the others."
    return f"Of {', '.join(differ)} it is: a pooled difference hides that (p at most 0.05, not adjusted for the rows)."


def _small(row: Row) -> bool:
    (p,) = row.cells[-2].values
    return isinstance(p, float) and p <= 0.05


def _score(counts: Counts) -> Cell:
    own = interval(counts)
    return interval_cell((own.estimate, own.low, own.high))


def _row(finding: Finding, counts: Counts, base: Counts, parts: list[np.typing.NDArray[np.bool_]]) -> Row:
    cells: list[Cell] = []
    for own in parts:
        seen = compare(base[own], {"": counts[own]}, [])[""]
        cells += [_score(counts[own]), interval_cell(seen.shown, signed=True)]
    together: ByDataset = by_dataset(counts, base, parts)
    cells += [probability(together.p), interval_cell(together.combined, signed=True)]
    return Row("variant", (text(finding.arm.arm), *cells))
