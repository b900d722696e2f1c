"""What the tables cost: device hours by arm, what the race and reuse saved, what a search spent on each arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.questions.choice import named_by_choice
from analysis.questions.winner import WINNER
from analysis.results.results import Results, Trial
from analysis.tables import Column, Row, Table, number, text

HOUR = 3600.0


@dataclass(frozen=True)
class Spent:
    """Seconds of device time. reused: of runs (configuration, seed) that an earlier trial had trained already.

    raced: what the pruned trials would have cost beyond, had each run as long as the complete ones did on average.
    """

    seconds: float
    reused: float
    raced: float


def spent(trials: Sequence[Trial], before: Sequence[Trial] = ()) -> Spent:
    """Of these trials, where those before them in the study may have trained the same runs."""
    known = {(trial.configuration, seed) for trial in before for seed in trial.seeds if trial.complete}
    seconds = reused = raced = 0.0
    whole = [_a_run(trial) for trial in trials if trial.complete and trial.seconds is not None]
    usual = sum(whole) / len(whole) if whole else 0.0
    for trial in trials:
        runs = [(trial.configuration, seed) for seed in trial.seeds]
        again = sum(run in known for run in runs)
        reused += again * _a_run(trial)
        seconds += (trial.seconds or 0.0) - again * _a_run(trial)
        raced += max(0.0, usual * len(runs) - (trial.seconds or 0.0)) if trial.state == "pruned" else 0.0
        known.update(runs if trial.complete else [])
    return Spent(seconds, reused, raced)


def total(results: Results) -> Spent:
    """The sum of the table's rows."""
    shares = [cost for _, _, cost in _shares(results)]
    return Spent(sum(c.seconds for c in shares), sum(c.reused for c in shares), sum(c.raced for c in shares))


def table(results: Results) -> Table:
    """A row an arm, one the search, one the sum."""
    columns = (
        Column("Stage", ("stage",), numeric=False),
        Column("Arm", ("arm",), numeric=False),
        Column("Trials", ("trials",)),
        Column("Device", ("device",), numeric=False),
        Column("Hours", ("hours",)),
        Column("Saved by the race", ("hours_raced",)),
        Column("Saved by reuse", ("hours_reused",)),
        Column("Configurations tuned", ("tuned",)),
        Column("Params", ("parameters",)),
        Column("Peak MiB", ("peak_memory",)),
    )
    rows = [_row(*name, own, cost, tuned=_tuned(own, results)) for name, own, cost in _shares(results)]
    rows.append(_row("all", "", results.trials, total(results), tuned=None, kind="baseline"))
    caption = (
        "Hours of one device; a trial's time is that of its folds. Saved by the race: what pruned trials would have "
        "cost beyond, had they run as long as complete ones. Saved by reuse: runs that another trial of this study had "
        "trained already. Configurations tuned: how many were tried to name the row: all of a search for "
        "an arm that it chose, which has so been given more than one that was set beforehand."
    )
    return Table("cost", "Cost", caption, columns, tuple(rows))


def answer(results: Results) -> str:
    """The whole in a sentence."""
    known = [trial for trial in results.trials if trial.seconds is not None]
    if not known:
        return "It is not recorded in these predictions."
    whole = total(results)
    return (
        f"{whole.seconds / HOUR:.2f} device hours for {len(results.trials)} trials; the race saved about "
        f"{whole.raced / HOUR:.2f}, reuse {whole.reused / HOUR:.2f}."
    )


def _tuned(own: Sequence[Trial], results: Results) -> int:
    """Configurations that were tried to name a row: those of the search for itself and for the arms that it chose."""
    search = [trial for trial in results.trials if trial.stage == "search"]
    arm, stage, configuration = own[0].arm, own[0].stage, own[0].configuration
    if arm is None:
        return len(own)
    winners = {(t.stage, t.configuration) for t in results.trials if t.arm == WINNER}
    is_winner = arm == "null" and (stage, configuration) in winners
    chosen = configuration in {trial.configuration for trial in search} and (named_by_choice(arm) or is_winner)
    return len(search) if chosen else 1


def _shares(results: Results) -> list[tuple[tuple[str, str], list[Trial], Spent]]:
    """(stage and arm, its trials, what they cost) of every row; a run is reused if an earlier row had trained it."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in results.trials:
        groups.setdefault((trial.stage, trial.arm or f"{trial.stage} (all proposals)"), []).append(trial)
    shares, before = [], list[Trial]()
    for name, own in groups.items():
        shares.append((name, own, spent(own, before)))
        before += own
    return shares


def _row(stage: str, arm: str, own: Sequence[Trial], cost: Spent, tuned: int | None, kind: str = "plain") -> Row:
    timed = any(trial.seconds is not None for trial in own)
    memory = max((trial.peak_memory for trial in own if trial.peak_memory is not None), default=None)
    parameters = {trial.parameters for trial in own if trial.parameters is not None}
    hours = [number(value / HOUR if timed else None, 3) for value in (cost.seconds, cost.raced, cost.reused)]
    return Row(kind, (
        text(stage),
        text(arm),
        number(len(own)),
        text(", ".join(sorted({trial.device for trial in own if trial.device}))),
        *hours,
        number(tuned),
        number(parameters.pop() if len(parameters) == 1 else None),
        number(memory, 0),
    ))  # fmt: skip


def _a_run(trial: Trial) -> float:
    """Seconds of one seed of a trial."""
    return (trial.seconds or 0.0) / max(1, len(trial.seeds))
