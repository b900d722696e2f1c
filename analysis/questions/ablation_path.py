"""The measured ablation path (Fawcett and Hoos, 2016): which changes, in which order, lead from baseline to best."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.questions.ablation import Ablation
from analysis.questions.effects import designed
from analysis.results.results import Results
from analysis.stats.inference import Comparison, compare, holm
from analysis.stats.metrics import uf1
from analysis.tables import Column, Row, Table, interval, number, tally, text


@dataclass(frozen=True)
class Step:
    """One change on the way: UF1 after it, and its comparison with the step before. p_adjusted: Holm over the path."""

    factor: str
    before: str
    after: str
    uf1: float
    comparison: Comparison
    p_adjusted: float


@dataclass(frozen=True)
class Path:
    """From the baseline (or winner) to the best configuration, one factor at a time, each trained and tested.

    reached: False where the next configurations were not run, so that the path ends before the best.
    """

    stage: str
    centre: str
    start: float
    steps: tuple[Step, ...]
    reached: bool


def path(results: Results, found: Ablation) -> Path | None:
    """Greedy: at each step the change with the highest UF1 among those run, ties to the earlier factor.

    None where the best is the baseline, or one change from it, or nothing on the way to it was run: then the table
    says all.
    """
    cells = designed(results, found)
    if cells is None:
        return None
    settings, counts, reference = cells
    scores = np.round(uf1(counts.sum(1)).mean(-1), 12)
    at, best = settings.index(dict(reference)), int(np.argmax(scores))
    if _distance(settings[at], settings[best]) < 2:
        return None
    found_steps: list[tuple[str, int, int]] = []
    while at != best:
        nearer = _nearer(settings, at, best)
        if not nearer:
            break
        factor, after = max(nearer, key=lambda step: scores[step[1]])
        found_steps.append((factor, at, after))
        at = after
    if not found_steps:
        return None
    compared = [compare(counts[a], {"next": counts[b]}, [])["next"] for _, a, b in found_steps]
    adjusted = holm([c.p for c in compared])
    steps = tuple(
        Step(factor, str(settings[a][factor]), str(settings[b][factor]), float(scores[b]), seen, p)
        for (factor, a, b), seen, p in zip(found_steps, compared, adjusted, strict=True)
    )
    return Path(found.stage, found.centre, float(scores[settings.index(dict(reference))]), steps, at == best)


def table(found: Path) -> Table:
    """One row a step."""
    columns = (
        Column("Step", ("step",), numeric=False),
        Column("UF1 after", ("uf1",)),
        Column("ΔUF1 [95 % CI]", ("difference", "low", "high")),
        Column("p", ("p",)),
        Column("p adj", ("p_adjusted",)),
        Column("W/T/L", ("wins", "ties", "losses")),
    )
    start = Row("baseline", (text(found.centre), number(found.start, 3), *_none()))
    rows = tuple(
        Row("variant", (
            text(f"{step.factor} {step.before} → {step.after}"),
            number(step.uf1, 3),
            interval(step.comparison.shown, signed=True),
            number(step.comparison.p, 4),
            number(step.p_adjusted, 4),
            tally((step.comparison.wins, step.comparison.ties, step.comparison.losses)),
        ))
        for step in found.steps
    )  # fmt: skip
    caption = (
        f"From the {found.centre} to the best configuration of this table, one factor at a time; every configuration "
        "on the way was trained and tested, none is predicted by a model. Δ: to the step before, by subject swaps; p "
        "adj: Holm over the steps. The order is greedy on the same scores and the end is the best of several: read the "
        "steps as a description, the effects of factors as the claim."
    )
    notes = () if found.reached else ("The path ends early: no configuration one change nearer to the best was run.",)
    return Table(f"{found.stage}-path", "Ablation path", caption, columns, (start, *rows), notes)


def answer(found: Path) -> str:
    """The path in a sentence."""
    gains = "; ".join(
        f"{s.factor} {s.before} → {s.after} {number(s.comparison.difference, 3, signed=True).text}" for s in found.steps
    )
    return f"From {found.start:.3f} to {found.steps[-1].uf1:.3f} by {gains}."


def _nearer(settings: list[Mapping[str, Any]], at: int, best: int) -> list[tuple[str, int]]:
    """(factor, configuration) of those run that differ from here in one factor, which is then at the best's level."""
    steps = []
    for name in settings[at]:
        if settings[at][name] != settings[best][name]:
            wanted = {**settings[at], name: settings[best][name]}
            steps += [(name, i) for i, setting in enumerate(settings) if setting == wanted]
    return steps


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one[name] != other[name] for name in one)


def _none() -> list[Any]:
    return [interval(None), number(None), number(None), tally(None)]
