"""The arms as their components with check marks: the ablation table that the field's papers print."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.questions.ablation import Ablation, levels
from analysis.questions.factors import NOT_APPLICABLE, shown, varied
from analysis.results.results import Results
from analysis.tables import Cell, Column, Row, Table, interval, number, text

CHECK = "✓"
OFF = ("false", "none", "0", "off", "no", "")  # levels that mean: this component is not there


def components(results: Results, found: Ablation) -> Table | None:
    """A column a factor that varies among baseline and variants where it has an effect; None where none does.

    A factor of two levels of which one means absence is a check mark; any other shows its level.
    """
    rows = [(f, levels(results, f.arm)) for f in found.findings if f.kind in ("baseline", "variant", "null")]
    settings = [own for _, own in rows if own]
    factors = varied(settings)
    if not factors:
        return None
    among = {name: list(dict.fromkeys(str(own[name]) for own in settings if name in own)) for name in factors}
    columns = (
        Column("Variant", ("variant",), numeric=False),
        *(Column(_title(name, among[name]), (f"factor_{name}",), numeric=False) for name in factors),
        Column("UF1 [95 % CI]", ("uf1", "uf1_low", "uf1_high")),
        Column("ΔUF1", ("difference",)),
        Column("p adj", ("p_adjusted",)),
        Column("Params", ("parameters",)),
    )
    lines = []
    for f, own in rows:
        score, seen = f.score.interval if f.score else None, f.comparison
        mark = "" if score or f.kind == "baseline" or f.gap is None else f" ({f.gap.state})"
        cells = (
            text(f.arm.arm + mark),
            *_levels(own, factors, among),
            interval((score.estimate, score.low, score.high) if score else None),
            number(seen.difference if seen else None, 3, signed=True),
            number(seen.p_adjusted if seen else None, 4),
            number(f.cost.parameters),
        )
        lines.append(Row("missing" if score is None else f.kind, cells))
    lacking = any(name not in own for own in settings for name in factors)
    caption = (
        f"{CHECK}: the component is there; –: it is not; other factors show their level"
        f"{f', {NOT_APPLICABLE} where they have no effect' if lacking else ''}. Pooled UF1, mean over seeds, "
        f"95 % interval over {found.subjects} subjects; Δ to the {found.centre}, p adj over the variants, as above."
    )
    return Table(f"{found.stage}-components", "Components", caption, columns, tuple(lines))


def _levels(own: Mapping[str, Any], factors: Sequence[str], among: Mapping[str, list[str]]) -> list[Cell]:
    """Cells of an arm; all are absent where it was not run, so that its levels are not known."""
    cells = []
    for name in factors:
        level = own.get(name, NOT_APPLICABLE)
        if not own:
            cells.append(text(None))
        elif name in own and _is_switch(among[name]):
            cells.append(text(None if str(level).lower() in OFF else CHECK))
        else:
            cells.append(Cell((str(level),), (str(level),), shown(level)))
    return cells


def _is_switch(found: Sequence[str]) -> bool:
    return len(found) == 2 and sum(level.lower() in OFF for level in found) == 1


def _title(name: str, found: Sequence[str]) -> str:
    """A switch is named with the level that is its presence: `fusion late`, but `flow` for true."""
    present = [level for level in found if level.lower() not in OFF]
    return name if not _is_switch(found) or present[0].lower() in ("true", "1") else f"{name} {present[0]}"
