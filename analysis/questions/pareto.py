"""The Pareto front of a search with several objectives: configurations that none beats in everything."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.results.results import Results, Trial
from analysis.stats.confusion import Confusions
from analysis.stats.inference import Comparison, compare, stands
from analysis.stats.metrics import uf1
from analysis.tables import Cell, Column, Row, Table, interval, number, probability

SIZES = {"parameters": "Params", "multiply_adds": "M mult-adds"}


@dataclass(frozen=True)
class Point:
    """A complete trial: its naive UF1 and its sizes by objective, and whether it is on the front."""

    trial: int
    uf1: float
    sizes: Mapping[str, int]
    on_front: bool


def pareto(results: Results, counted: Confusions) -> tuple[Point, ...]:
    """The complete trials of a search with several objectives, the front first, best UF1 first; none without.

    One trial beats another where its UF1 is as high and its sizes are as low, and one of them is better.
    """
    names = [name for name in results.metadata.objectives if name in SIZES]
    trials = [trial for trial in results.trials if trial.stage == "search" and trial.complete]
    if not names or not trials:
        return ()
    scores = {trial.trial: float(uf1(counted.of([trial.trial]).sum(0)).mean()) for trial in trials}
    values = {trial.trial: (-scores[trial.trial], *_sizes(trial, names).values()) for trial in trials}
    front = _front(values.values())
    points = [Point(t.trial, scores[t.trial], _sizes(t, names), values[t.trial] in front) for t in trials]
    return tuple(sorted(points, key=lambda point: (not point.on_front, -point.uf1, point.trial)))


def against_smallest(points: Sequence[Point], counted: Confusions) -> dict[int, Comparison]:
    """The front's trials against the smallest of them, by subject swaps; p by max-T over the front."""
    front = [point.trial for point in points if point.on_front]
    small = smallest(points).trial
    counts = {trial: counted.of([trial]) for trial in front}
    held_out = counts[small].sum((1, 2, 3)) > 0
    others = {str(trial): own[held_out] for trial, own in counts.items() if trial != small}
    if held_out.sum() < 2 or len({own.shape for own in others.values()} | {counts[small][held_out].shape}) > 1:
        return {}
    return {int(trial): seen for trial, seen in compare(counts[small][held_out], others, others.keys()).items()}


def smallest(points: Sequence[Point]) -> Point:
    """The smallest on the front by its first size, of equal ones the best."""
    front = [point for point in points if point.on_front]
    name = next(iter(front[0].sizes))
    return min(front, key=lambda point: (point.sizes[name], -point.uf1))


def table(points: Sequence[Point], compared: Mapping[int, Comparison], by: str) -> Table:
    """The front, best UF1 first. compared: with its smallest; by: whose scores they are (choice.judges)."""
    names = list(points[0].sizes)
    columns = (
        Column("Trial", ("trial",)),
        Column("UF1 (naive)", ("uf1_naive",)),
        *(Column(SIZES[name], (_column(name),)) for name in names),
        Column("ΔUF1 to the smallest [95 % CI]", ("difference", "low", "high")),
        Column("p adj", ("p_adjusted",)),
    )
    front = [point for point in points if point.on_front]
    rows = tuple(
        Row(
            "plain",
            (
                number(p.trial),
                number(p.uf1, 3),
                *(_size(name, p.sizes[name]) for name in names),
                *_compared(compared.get(p.trial)),
            ),
        )
        for p in front
    )
    caption = (
        f"{len(front)} of {len(points)} complete configurations of the search: no other has at least their UF1 with no "
        f"more of each size, and less of one or a higher UF1. Pooled UF1{by}, mean over seeds, not corrected for the "
        "choice. Δ: paired by subject; interval and p adj hold for all of the front at once (max-T), not for its "
        "having been chosen."
    )
    return Table("pareto", "Pareto front", caption, columns, rows)


def _compared(seen: Comparison | None) -> tuple[Cell, Cell]:
    if seen is None or seen.joint is None:
        return interval(None), probability(None)
    there = seen.shown[1] is not None
    return interval((seen.difference, *(seen.joint if there else (None, None))), signed=True), probability(
        seen.p_adjusted
    )


def answer(points: Sequence[Point], compared: Mapping[int, Comparison]) -> str:
    """The ends of the front in a sentence."""
    best, small = points[0], smallest(points)
    name = next(iter(best.sizes))
    words = {"parameters": "parameters", "multiply_adds": "multiply-adds"}[name]
    if small.trial == best.trial:
        return f"Nothing: trial {best.trial} has the highest UF1, {best.uf1:.3f}, and the fewest {words}."
    seen = compared.get(best.trial)
    shown = seen is not None and stands(seen.p_adjusted)
    return (
        f"The best, trial {best.trial}, reaches UF1 {best.uf1:.3f} with {best.sizes[name]:,} {words}; the smallest on "
        f"the front, trial {small.trial}, reaches {small.uf1:.3f} with {small.sizes[name]:,}; that the best "
        f"is better {'stands' if shown else 'is not shown'} against it."
    )


def _sizes(trial: Trial, names: Sequence[str]) -> dict[str, int]:
    return {name: int(getattr(trial, name) or 0) for name in names}


def _front(values: Iterable[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """Those that none beats. What beats one comes before it in their order, and is on the front or beaten by it."""
    front: list[tuple[float, ...]] = []
    for one in sorted(set(values)):
        if not any(all(a <= b for a, b in zip(other, one, strict=True)) for other in front):
            front.append(one)
    return set(front)


def _column(name: str) -> str:
    return "million_multiply_adds" if name == "multiply_adds" else name


def _size(name: str, value: int) -> Cell:
    return number(value / 1e6, 2) if name == "multiply_adds" else number(value)
