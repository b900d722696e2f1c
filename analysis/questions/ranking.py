"""The search's trials by naive score. What choosing the best of them is worth: selection.py."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.questions.choice import judges
from analysis.questions.factors import NOT_APPLICABLE, effective, shown, varied
from analysis.results.results import Results, Trial
from analysis.stats.confusion import Confusions
from analysis.stats.scores import Cost, Score
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


def ranking(results: Results, counted: Confusions) -> Table | None:
    """Trials of the search, best first, ties to the lower number, those without a score last; None without a search."""
    trials = [trial for trial in results.trials if trial.stage == "search"]
    if not trials:
        return None
    scores = {trial.trial: Score.of(counted.of([trial.trial])) for trial in trials if trial.complete}
    best_first = sorted(scores, key=lambda n: (-scores[n].interval.estimate, n))
    ranks = {n: rank for rank, n in enumerate(best_first, 1)}
    trials.sort(key=lambda trial: (ranks.get(trial.trial, len(ranks) + 1), trial.trial))
    levels = {trial.trial: effective(trial.factors) for trial in trials}
    names = varied(list(levels.values()))
    columns = (
        Column("Rank", ("rank",)),
        Column("Trial", ("trial",)),
        *(Column(n, (f"factor_{n}",), numeric=False) for n in names),
    )
    rows = tuple(
        _row(trial, ranks.get(trial.trial), [levels[trial.trial].get(name, NOT_APPLICABLE) for name in names], scores)
        for trial in trials
    )
    return Table("search", "Search", _caption(trials, judges(results)), (*columns, *SCORES), rows)


def states(trials: Sequence[Trial]) -> str:
    """How many trials are in which state: `10 complete, 2 pruned`."""
    return ", ".join(f"{n} {state}" for state, n in sorted(Counter(trial.state for trial in trials).items()))


def _caption(trials: Sequence[Trial], by: str) -> str:
    tried = f"K = {len(trials)} configuration{'s' * (len(trials) > 1)} tried ({states(trials)})"
    words = f"{tried}, ranked by pooled UF1{by}, mean over seeds."
    if len(trials) == 1:
        return words
    return (
        f"{words} The best of K is selected by the very score that is shown here, not corrected for it: expect less of "
        "it on new subjects. Nothing is bold, and no interval is given, because it would not hold after the choice."
    )


def _row(trial: Trial, rank: int | None, levels: Sequence[Any], scores: Mapping[int, Score]) -> Row:
    cost, score = Cost.of([trial]), scores.get(trial.trial)
    cells = (
        number(rank),
        number(trial.trial),
        *(text(None if level is None else shown(level)) for level in levels),
        *(_score(score) if score else [absent()] * 4),
        number(cost.parameters),
        number(cost.seconds, 1),
        number(len(trial.seeds)),
        text(f"{trial.state} ({trial.why})" if trial.why else trial.state),
    )
    return Row("plain" if score else "missing", cells)


def _score(score: Score) -> list[Cell]:
    return [number(value, 3) for value in (score.interval.estimate, score.seed_sd, score.uar, score.accuracy)]
