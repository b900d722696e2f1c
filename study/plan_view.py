"""What a terminal shows of a plan."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.advice import advice
from study.cluster import Member, arithmetic_problem, serving
from study.forecast import Forecast
from study.plan import Cost, PlannedSearch
from study.progress import duration
from study.terminal import plain


def print_forecast(console: Console, made: Forecast, notes: tuple[str, ...]) -> None:
    """The plan by stage and arm, then what is there already, what the rest costs, and what it could find."""
    plan = made.plan
    table = Table(
        title=f"{plan.spec.name}: {plan.size.clips} clips, {plan.size.subjects} subjects",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    right = ("trials", "folds", "in ledgers", "parameters", "time")
    for column in ("stage", "arm", "changes", *right):
        table.add_column(column, justify="right" if column in right else "left")
    for search in plan.searches:
        space = f"{search.feasible} of {search.sampled} configurations can be built; {_proposals(search)}"
        table.add_row(search.stage, "(proposals)", space, *_figures(search.cost, made.there(search.stage, None)))
    for stage in plan.following:
        table.add_row(stage.stage, "(from the search)", "at most", *_figures(stage.cost, made.there_in(stage.stage)))
    for arm, cost in plan.arms:
        changes = ", ".join(f"{name}={level}" for name, level in arm.changes.items()) or "-"
        table.add_row(arm.stage, arm.name, changes, *_figures(cost, made.there(arm.stage, arm.name)))
    console.print(table)
    for note in [*notes, *plan.warnings]:
        console.print(f"[yellow]![/] {plain(note)}", soft_wrap=True)
    for line in [*_balance(made), *advice(plan)]:
        console.print(plain(line), soft_wrap=True)
    console.print("Nothing was started.")


def nodes_that_serve(members: Sequence[Member], resources: Resources) -> tuple[int, list[str]]:
    """How many trials a cluster holds at a time; which of its nodes serve a study, in words.

    Raises UserError where none does.
    """
    resources = resources.where(any(member.resources.get("GPU") for member in members))
    held = [(member.node.name, resources.slots(member.resources)) for member in members]
    serve = ", ".join(f"{name} (trials at a time: {slots})" for name, slots in held if slots)
    others = ", ".join(name for name, slots in held if not slots)
    if not serve:
        raise UserError(f"resources: none of the nodes {others} holds one trial; ask for less")
    differ = arithmetic_problem(serving(members, resources), resources)
    return sum(slots for _, slots in held), [
        f"nodes that serve this study: {serve}" + f"; without room for a trial: {others}" * bool(others),
        *([differ] if differ else []),
    ]


def _proposals(search: PlannedSearch) -> str:
    """How many proposals know results, and how many trials can run at a time."""
    design = search.design
    informed = max(0, design.proposals - design.virtual_slots)
    at_most = f"at most {design.virtual_slots} run at a time, whatever the slots"
    return f"{informed} of {design.proposals} proposals know results; {at_most}"


def _balance(made: Forecast) -> list[str]:
    """Folds, time and memory."""
    plan = made.plan
    copied = ", ".join(f"{folds} will be copied from {name}" for name, folds in sorted(made.copied.items()))
    there = [f"{made.here.total()} are in this study's ledger"] * bool(made.here.total()) + [copied] * bool(copied)
    there += [f"{made.never} of pruned trials are never trained"] * bool(made.never)
    known = [f"{made.timed} timed in ledgers"] * bool(made.timed) + [f"{made.measured} by a few steps here"] * bool(
        made.measured
    )
    rest = made.classes - made.timed - made.measured
    known += [f"{rest} computed from these" if known else f"{rest} by assumed speed"] * bool(rest)
    return [
        f"{plan.trials} trials, {plan.folds} folds{''.join(f'; {part}' for part in there)}; {made.to_train} to train.",
        f"Time: {duration(made.seconds)} of device time, {_wall(made)} (classes of cost: {', '.join(known)}).",
        f"Memory: up to {plan.memory / 2**20:.0f} MiB a trial.",
    ]


def _wall(made: Forecast) -> str:
    if not made.slots:
        return "on other machines: this one does not hold a trial of the resources asked for"
    return f"about {duration(made.wall)} with {made.slots} at a time"


def _figures(cost: Cost, there: int) -> tuple[str, ...]:
    return str(cost.trials), str(cost.folds), str(there or "-"), f"{cost.parameters:,}", duration(cost.seconds)
