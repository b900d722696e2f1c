"""What a terminal shows: the plan, and the columns of a report's table that fit."""

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from study.progress import duration

if TYPE_CHECKING:
    import analysis.tables
    from study.plan import Cost, Plan

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


def print_plan(console: Console, plan: "Plan", notes: tuple[str, ...]) -> None:
    table = Table(
        title=f"{plan.spec.name}: {plan.size.clips} clips, {plan.size.subjects} subjects",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for column in ("stage", "arm", "changes", "trials", "folds", "parameters", "time"):
        table.add_column(column, justify="right" if column in ("trials", "folds", "parameters", "time") else "left")
    for search in plan.searches:
        cost = search.cost
        blind = min(search.design.virtual_slots, search.design.proposals)
        space = f"{search.feasible} of {search.sampled} configurations can be built; the first {blind} know no result"
        table.add_row(search.stage, "(proposals)", space, str(cost.trials), str(cost.folds), *_figures(cost))
    for arm, cost in plan.arms:
        changes = ", ".join(f"{name}={level}" for name, level in arm.changes.items()) or "-"
        table.add_row(arm.stage, arm.name, changes, str(cost.trials), str(cost.folds), *_figures(cost))
    console.print(table)
    for note in notes:
        console.print(f"[yellow]![/] {plain(note)}", soft_wrap=True)
    console.print(
        f"{plan.trials} trials, {plan.folds} folds; about {duration(plan.seconds)} on one device (assumed speed), "
        f"divided by the devices; up to {plan.memory / 2**20:.0f} MiB a trial. Nothing was started."
    )


def _figures(cost: "Cost") -> tuple[str, str]:
    return f"{cost.parameters:,}", duration(cost.seconds)
