"""The search's trials by naive score. The correction for choosing the best of them is not here yet, and it says so."""

import json
from typing import Any

import pandas as pd

from analysis.ablation import Cost, Score
from analysis.confusion import confusions
from analysis.results import Results
from analysis.tables import Cell, Column, Row, Table, absent, number, text

SCORES = (
    Column("UF1 (naive)", ("uf1_naive",)),
    Column("Seed SD", ("seed_sd",)),
    Column("UAR", ("uar",)),
    Column("Acc", ("accuracy",)),
    Column("Params", ("parameters",)),
    Column("Seconds", ("seconds",)),
    Column("Seeds", ("seeds",)),
    Column("State", ("state",), numeric=False),
)


def ranking(results: Results) -> Table | None:
    """Trials of the search, best first, ties to the lower number, those without a score last; None without a search."""
    trials = results.trials[results.trials.stage == "search"]
    if trials.empty:
        return None
    counted = confusions(results)
    scores = {int(t): Score.of(counted.of([t])) for t in trials.loc[trials.state == "complete", "trial"]}
    order = sorted(trials.trial, key=lambda t: (-scores[t].interval.estimate if t in scores else 1.0, t))
    levels = {run.trial: json.loads(run.factors) for run in trials.itertuples()}
    varied = [name for name in levels[order[0]] if len({str(level.get(name)) for level in levels.values()}) > 1]
    by_number = trials.set_index("trial", drop=False)
    rows = tuple(
        Row(
            "plain" if t in scores else "missing",
            (
                number(rank if t in scores else None),
                number(t),
                *(text(_level(levels[t].get(name))) for name in varied),
                *_cells(by_number.loc[[t]], scores.get(t)),
            ),
        )
        for rank, t in enumerate(order, 1)
    )
    columns = (
        Column("Rank", ("rank",)),
        Column("Trial", ("trial",)),
        *(Column(name, (name,), numeric=False) for name in varied),
        *SCORES,
    )
    return Table("search", "Search", _caption(trials), columns, rows)


def _caption(trials: pd.DataFrame) -> str:
    states = trials.state.value_counts().sort_index()
    counts = ", ".join(f"{n} {state}" for state, n in states.items())
    words = f"K = {len(trials)} configurations tried ({counts}), ranked by pooled UF1, mean over seeds."
    if len(trials) == 1:
        return words
    return (
        f"{words} The best of K is selected by the very score that is shown and not corrected for it: expect less of it on "
        "new subjects. Nothing is bold, and no interval is given, because it would not hold after the choice."
    )


def _cells(trial: pd.DataFrame, score: Score | None) -> tuple[Cell, ...]:
    run, cost = trial.iloc[0], Cost.of(trial)
    state = f"{run.state} ({run.why})" if run.why else str(run.state)
    if score is None:
        return (*(absent() for _ in range(4)), number(cost.parameters), absent(), number(len(run.seeds)), text(state))
    return (
        number(score.interval.estimate, 3),
        number(score.seed_sd, 3),
        number(score.uar, 3),
        number(score.accuracy, 3),
        number(cost.parameters),
        number(cost.seconds, 1),
        number(len(run.seeds)),
        text(state),
    )


def _level(level: Any) -> str | None:
    return None if level is None else f"{level:.4g}" if isinstance(level, float) else str(level)


