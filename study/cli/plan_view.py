"""What a terminal shows of a plan."""

from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console

from search_spaces.designs import BASELINE, WINNER, Arm
from search_spaces.errors import UserError
from search_spaces.protocols import protocol
from search_spaces.spec import Resources
from study.cli.progress_display import duration
from study.cli.terminal import say
from study.cli.text_table import Column, TextTable
from study.cluster.nodes import Member, arithmetic_problem, serving
from study.planning.detectable_effects import advice
from study.planning.forecast import Forecast
from study.planning.plan import Cost, Plan, PlannedSearch

_COLUMNS = (
    Column("stage", drop=1),
    Column("arm"),
    Column("changes", below=True),
    Column("trials", numeric=True, drop=2),
    Column("folds", numeric=True),
    Column("in ledgers", numeric=True, drop=3),
    Column("parameters", numeric=True),
    Column("time", numeric=True),
)
_MOST_ROWS = 50


def print_forecast(console: Console, made: Forecast, notes: tuple[str, ...], classes: str) -> None:
    """The plan by stage and arm, then what is there already, what the rest costs, and what it could find."""
    plan = made.plan
    for line in _nesting(plan):
        say(console, line)
    rows = [_row(s.stage, "(proposals)", "", s.cost, made.there(s.stage, None)) for s in plan.searches]
    rows += [_row(s.stage, "(from the search, at most)", "", s.cost, made.there_in(s.stage)) for s in plan.following]
    rows += _arms(made)
    console.print(
        TextTable(f"{plan.spec.name}: {plan.size.clips} clips, {plan.size.subjects} subjects", _COLUMNS, rows)
    )
    for note in [*notes, *plan.warnings]:
        say(console, note, "!", "yellow")
    for line in [*map(_space, plan.searches), *_balance(made), classes, *advice(plan), "Nothing was started."]:
        say(console, line)


def _nesting(plan: Plan) -> list[str]:
    """How many folds a nested protocol makes of every stage, which is many."""
    rule = protocol(plan.spec.protocol)
    if rule.kind != "nested_loso":
        return []
    inside = [arm for arm, _ in plan.arms if arm.config.protocol == plan.spec.protocol]
    candidates = {stage: [arm for arm in inside if arm.stage == stage] for stage in plan.spec.stages}
    return [
        f"{stage}: {plan.size.subjects} outer x (1 + {rule.number:g} inner) folds x {len(arms)} candidates x "
        f"{len(arms[0].seeds)} seeds = {sum(plan.size.folds(arm.config) * len(arm.seeds) for arm in arms):,} folds"
        for stage, arms in candidates.items()
    ]


def _arms(made: Forecast) -> list[tuple[str, ...]]:
    """A row an arm; where they are many, a row for all arms that change the same factors."""
    arms = made.plan.arms
    if len(arms) <= _MOST_ROWS:
        return [_row(arm.stage, arm.name, _changes(arm), cost, made.there(arm.stage, arm.name)) for arm, cost in arms]
    groups: dict[tuple[str, ...], list[tuple[Arm, Cost]]] = defaultdict(list)
    for arm, cost in arms:
        alone = arm.name in (BASELINE, WINNER, "null") or arm.config.control != "none"
        groups[arm.stage, arm.name if alone else "", *([] if alone else arm.changes)].append((arm, cost))
    rows = [_group(made, members) for members in groups.values()]
    rest = [member for members in list(groups.values())[_MOST_ROWS - 1 :] for member in members]
    return rows if len(rows) <= _MOST_ROWS else [*rows[: _MOST_ROWS - 1], _group(made, rest)]


def _group(made: Forecast, members: Sequence[tuple[Arm, Cost]]) -> tuple[str, ...]:
    """A row for several arms; for one alone its own."""
    (first, cost), *others = members
    if not others:
        return _row(first.stage, first.name, _changes(first), cost, made.there(first.stage, first.name))
    levels: dict[str, set[str]] = defaultdict(set)
    for arm, _ in members:
        for factor, level in arm.changes.items():
            levels[factor].add(str(level))
    costs = [cost for _, cost in members]
    least, most = min(cost.parameters for cost in costs), max(cost.parameters for cost in costs)
    return (
        " ".join(sorted({arm.stage for arm, _ in members})),
        f"({len(members):,} arms)",
        ", ".join(f"{factor} ({len(several)} level{'s' * (len(several) > 1)})" for factor, several in levels.items()),
        str(sum(cost.trials for cost in costs)),
        str(sum(cost.folds for cost in costs)),
        str(sum(made.there(arm.stage, arm.name) for arm, _ in members) or "-"),
        f"{most:,}" if least == most else f"{least:,} to {most:,}",
        duration(sum(cost.seconds for cost in costs)),
    )


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


def _space(search: PlannedSearch) -> str:
    """How many configurations can be built, how many proposals know results, how many trials can run at a time."""
    design = search.design
    informed = max(0, design.proposals - design.virtual_slots)
    return (
        f"{search.stage}: {search.feasible} of {search.sampled} configurations can be built; {informed} of "
        f"{design.proposals} proposals know results; at most {design.virtual_slots} run at a time, whatever the slots"
    )


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


def _row(stage: str, arm: str, changes: str, cost: Cost, there: int) -> tuple[str, ...]:
    figures = str(cost.trials), str(cost.folds), str(there or "-"), f"{cost.parameters:,}", duration(cost.seconds)
    return stage, arm, changes, *figures


def _changes(arm: Arm) -> str:
    """What an arm changes; nothing where its name says it already."""
    changes = [f"{name}={level}" for name, level in arm.changes.items()]
    return "" if set(changes) <= set(arm.name.split(", ")) else ", ".join(changes)
