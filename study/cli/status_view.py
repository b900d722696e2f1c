"""What a terminal shows of a study's status."""

import json
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live

from study.cli.progress_display import duration
from study.cli.terminal import Parts, say
from study.cli.text_table import Column, TextTable
from study.ledger.schema import has_begun
from study.planning.status import STATES, Status, status

_DROP = {"waiting": 3, "pruned": 2, "running": 1}  # states that say least, where there is no room for all
_COLUMNS = (
    Column("stage"),
    Column("trials", numeric=True),
    *(Column(state, numeric=True, drop=_DROP.get(state, 0)) for state in STATES),
    Column("folds", numeric=True),
    Column("best uf1", below=True),
)
_EVERY = 2.0  # seconds


def show(folder: Path, console: Console) -> None:
    console.print(_renderable(status(folder)))


def print_json(folder: Path, console: Console) -> None:
    console.print_json(json.dumps(status(folder).as_dict()))


def watch(folder: Path, console: Console) -> None:
    """Show it anew every two seconds, until the study's run has ended or Ctrl-C; before it has begun, wait for it."""
    if not has_begun(folder):
        say(console, f"{folder}: waiting for its run to begin")
    while not has_begun(folder):
        time.sleep(_EVERY / 4)
    seen = status(folder)
    with Live(_renderable(seen), console=console, auto_refresh=False) as live:
        while seen.runs:
            time.sleep(_EVERY)
            seen = status(folder)
            live.update(_renderable(seen), refresh=True)


def _renderable(seen: Status) -> Group:
    rows = []
    for stage in seen.stages:
        best = f"{stage.best[1]:.3f} ({stage.best[0]})" if stage.best else "-"
        states = [str(stage.trials[state] or "-") for state in STATES]
        rows.append((stage.name, str(stage.planned), *states, f"{stage.folds}/{stage.planned_folds}", best))
    return Group(TextTable(f"{seen.study}: {_runs(seen)}", _COLUMNS, rows), *(Parts([line]) for line in _lines(seen)))


def _runs(seen: Status) -> str:
    if seen.runs:
        return f"running ({seen.runs})"
    return "complete" if not seen.to_do else "not running; the command that began it goes on from here"


def _lines(seen: Status) -> list[str]:
    copied = ", ".join(f"{folds} from {name}" for name, folds in sorted(seen.copied.items()))
    lines = [f"{seen.spent / 3600:.2f} device-hours spent, {seen.saved / 3600:.2f} saved by reuse"]
    never = sum(stage.never for stage in seen.stages)
    lines += [f"{never} folds of pruned trials never trained: {seen.raced / 3600:.2f} device-hours saved"] * bool(never)
    lines += [f"folds copied: {copied}"] * bool(copied)
    if seen.folds_a_minute is not None and seen.left is not None:
        lines.append(f"{seen.folds_a_minute:.0f} folds a minute, about {duration(seen.left)} left")
    elif seen.to_do:
        lines.append(f"about {duration(seen.to_do)} of device time to do")
    return lines
