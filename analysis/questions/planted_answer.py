"""Synthetic data knows its answer: what was planted beside what was found."""

from collections.abc import Iterator, Mapping
from typing import Any

from analysis.questions.ablation import Ablation, Finding, control
from analysis.results.results import Results
from analysis.tables import Cell, Column, Row, Table, absent, interval, number, text

COLUMNS = (
    Column("Factor", ("factor",), numeric=False),
    Column("Level", ("level",), numeric=False),
    Column("Planted", ("planted",), numeric=False),
    Column("Ideal UF1, balanced", ("ideal_balanced",)),
    Column("Ideal UF1, these clips", ("ideal_actual",)),
    Column("Limit", ("limit",)),
    Column("Arm", ("arm",), numeric=False),
    Column("Found UF1 [95 % CI]", ("uf1", "uf1_low", "uf1_high")),
    Column("Found ΔUF1 [95 % CI]", ("difference", "difference_low", "difference_high")),
    Column("Agrees", ("agrees",), numeric=False),
)


def planted(results: Results, found: Ablation) -> Table | None:
    """A row for each planted effect and arm that shows it, then the ideal observer's other levels.

    None for real data.
    """
    truth = results.metadata.truth
    if truth is None:
        return None
    ideal = {(factor, level): s for factor, levels in truth["ideal_uf1"].items() for level, s in levels.items()}
    effects = {(effect["factor"], effect["level"]): effect["expect"] for effect in truth["planted"]}
    keys = [*effects, *(key for key in ideal if key not in effects)]
    rows = tuple(row for key in keys for row in _rows(key, effects.get(key), ideal.get(key, {}), results, found))
    caption = (
        "What the synthetic data was made to show, and what the study found. Ideal UF1: of an observer who knows how "
        "the clips were made, sees this level's regions and names the most probable class, with balanced classes and "
        "with the shares and mistaken labels of these clips. Limit: the most that any rule can expect on these clips. "
        "Agrees: a planted loss has a negative difference (the interval says how sure that is), a planted chance is "
        "not above chance."
    )
    return Table(f"{found.stage}-planted", "Planted and found", caption, COLUMNS, rows)


def agrees(expect: str, finding: Finding) -> bool | None:
    """Whether an arm shows what was planted; None where it has no score to show it with."""
    if expect == "chance":
        if finding.shuffled:
            return not finding.shuffled.leaks
        return None if finding.score is None else finding.score.interval.low <= finding.score.chance
    return None if finding.comparison is None else finding.comparison.difference < 0


def _rows(
    key: tuple[str, Any], expect: str | None, ideal: Mapping[str, float], results: Results, found: Ablation
) -> Iterator[Row]:
    """A row an arm that has this level; one empty row for a planted effect that no arm shows."""
    factor, level = key
    start = (
        text(factor),
        text(str(level)),
        text(expect),
        number(ideal.get("balanced"), 3),
        number(ideal.get("actual"), 3),
        number(ideal.get("limit"), 3),
    )
    arms = [f for f in found.findings if f.kind != "null" and _shows(f, factor, level, expect is not None, results)]
    for finding in arms:
        yield Row("plain", (*start, *_found(finding, expect)))
    if not arms and expect:
        yield Row("missing", (*start, text("not in this study"), absent(3), absent(3), absent()))


def _shows(finding: Finding, factor: str, level: Any, is_effect: bool, results: Results) -> bool:
    """An arm shows a level by changing the factor to it; the baseline, which shows no effect, by being at it."""
    if finding.kind == "baseline":
        own = (t for t in results.trials if (t.stage, t.arm) == (finding.arm.stage, finding.arm.arm))
        return not is_effect and any(trial.factors.get(factor) == level for trial in own)
    if control(finding.arm):  # what else a control changes is part of the control
        return factor == "control" and level == control(finding.arm)
    return finding.arm.changes.get(factor) == level


def _found(finding: Finding, expect: str | None) -> tuple[Cell, ...]:
    score = finding.score.interval if finding.score else None
    seen = finding.comparison
    right = None if expect is None else agrees(expect, finding)
    unknown = finding.gap.state if finding.gap and expect else None
    return (
        text(finding.arm.arm),
        interval((score.estimate, score.low, score.high) if score else None),
        interval(seen.shown if seen else None, signed=True),
        text(unknown if right is None else "yes" if right else "NO"),
    )
