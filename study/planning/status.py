"""How far a study is: read from its ledger beside the running driver, all at once and then closed."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.ledger import lock
from study.ledger.snapshot import FoldRow, TrialRow, begun_study
from study.planning.cost_model import Costs, Work, size_of
from study.planning.plan import Plan, planned
from study.planning.remaining_work import Outlook
from study.trials.trial import Trial

STATES = ("complete", "running", "failed", "pruned", "waiting")


@dataclass(frozen=True)
class Stage:
    """Trials of a stage by state, its folds, and its best complete trial but controls: (arm or number and seed, UF1).

    never: folds of pruned trials that are never trained.
    """

    name: str
    planned: int
    trials: Counter[str]
    folds: int
    planned_folds: int
    never: int
    best: tuple[str, float] | None


@dataclass(frozen=True)
class Status:
    """A study's. Times in seconds: `left` on the clock while it runs, the others of device time.

    saved: by reuse of folds; raced: by the race.
    """

    study: str
    runs: str | None  # host and process that write it now
    stages: tuple[Stage, ...]
    copied: Counter[str]  # folds, by the study that trained them
    folds_a_minute: float | None
    left: float | None
    spent: float
    saved: float
    raced: float
    to_do: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        stages = [
            vars(s) | {"trials": {state: s.trials[state] for state in STATES}, "best": s.best and list(s.best)}
            for s in self.stages
        ]
        return vars(self) | {"stages": stages, "copied": dict(self.copied)}


def status(folder: Path) -> Status:
    """Raises UserError where no study is, or one of another version."""
    study = begun_study(folder, "its run has only just begun; try again in a moment", "times")
    runs, since = lock.holder(folder), lock.held_since(folder)
    plan = planned(study.spec, size_of(study.description), Costs(), study.choosers)
    outlook = Outlook(plan, plan.costs)
    trials = []
    for row in study.trials:
        own = study.folds_of(row)
        work = Work(row.trial.config, plan.size)
        for fold in own:
            if fold.origin is None:
                plan.costs.add(work, fold.seconds)
        seen = _Trial(row.trial, _state(row, since if runs else None))
        ended = seen.state in ("complete", "pruned")
        outlook.saw(seen.trial, 0 if ended else max(0, outlook.folds(seen.trial) - len(own)))
        trials.append((seen, row.value, len(own)))
    for stage in plan.following:
        if begun := sum(seen.trial.stage == stage.stage for seen, *_ in trials):
            outlook.knows(stage.stage, begun)
    never = [(seen.trial, outlook.folds(seen.trial) - own) for seen, _, own in trials if seen.state == "pruned"]
    copies = [fold for fold in study.folds if fold.origin is not None]
    now = [fold for fold in study.folds if fold.origin is None and fold.ended >= since] if runs else []
    return Status(
        study.name,
        runs,
        tuple(
            _stage(
                name,
                plan,
                [t for t in trials if t[0].trial.stage == name],
                sum(n for trial, n in never if trial.stage == name),
            )
            for name in plan.spec.stages
        ),
        Counter(fold.origin for fold in copies if fold.origin),
        *_speed(now, outlook, sum(seen.state == "running" for seen, *_ in trials)),
        sum(fold.seconds for fold in study.folds) - sum(fold.seconds for fold in copies),
        sum(fold.seconds for fold in copies),
        sum(n * plan.costs.seconds(Work(trial.config, plan.size)) for trial, n in never),
        sum(outlook.seconds()),
    )


def named(trial: Trial) -> str:
    """A trial as its stage's best: its arm, or its number in a search, and its seed where it has one."""
    name = f"trial {trial.number}" if trial.arm is None else trial.arm
    return f"{name}, seed {trial.seeds[0]}" if len(trial.seeds) == 1 else name


@dataclass(frozen=True)
class _Trial:
    trial: Trial
    state: str


def _state(row: TrialRow, since: float | None) -> str:
    """Of a trial, where a driver has been writing since then, or none does."""
    if since is not None and row.open_since is not None and row.open_since >= since:
        return "running"
    return row.state or "waiting"


def _stage(name: str, plan: Plan, trials: list[tuple[_Trial, float | None, int]], never: int) -> Stage:
    costs = [c for arm, c in plan.arms if arm.stage == name] + [s.cost for s in plan.open if s.stage == name]
    planned, folds = sum(cost.trials for cost in costs), sum(cost.folds for cost in costs)
    if trials and any(stage.stage == name for stage in plan.following):  # it has begun: all its trials are there
        planned, folds = len(trials), sum(plan.size.folds(seen.trial.config) for seen, *_ in trials)
    states = Counter(seen.state for seen, *_ in trials)
    states["waiting"] = max(0, planned - states.total() + states["waiting"])
    ended = [(value, seen.trial) for seen, value, _ in trials if seen.state == "complete" and value is not None]
    ended = [(value, trial) for value, trial in ended if trial.competes]
    value, best = max(ended, key=lambda pair: pair[0], default=(None, None))
    return Stage(
        name,
        planned,
        states,
        sum(own for *_, own in trials),
        folds,
        never,
        None if best is None or value is None else (named(best), value),
    )


def _speed(folds: list[FoldRow], outlook: Outlook, slots: int) -> tuple[float | None, float | None]:
    """Folds a minute, and seconds left, from the folds of the present run; None where there are none yet."""
    if not folds:
        return None, None
    elapsed = time.time() - min(fold.ended - fold.seconds for fold in folds)
    busy = sum(fold.seconds for fold in folds) / max(1e-9, elapsed * max(1, slots))
    return 60 * len(folds) / elapsed, outlook.time_left(slots, busy)
