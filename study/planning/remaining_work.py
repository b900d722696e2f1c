"""What is left of a plan, in seconds of device time, and how long that will take."""

from collections import Counter
from typing import TYPE_CHECKING

from search_spaces.config import TrialConfig
from study.planning.cost_model import Costs, Work, makespan
from study.planning.plan import Cost, Plan

if TYPE_CHECKING:
    from study.trials.trial import Trial


class Outlook:
    """Folds that the trials of a plan still need, and their cost. It is told of every trial as far as it has come."""

    def __init__(self, plan: Plan, costs: Costs) -> None:
        self.plan, self.costs = plan, costs
        self.trials, self.folds_of_all = plan.trials, plan.folds
        self._planned: dict[tuple[str, str | None], Cost] = {(arm.stage, arm.name): cost for arm, cost in plan.arms}
        self._planned |= {(stage.stage, None): stage.cost for stage in plan.open}
        self._arms = [(arm, cost, Work(arm.config, plan.size)) for arm, cost in plan.arms]
        self._open = [(s, [Work(config, plan.size) for config in s.some]) for s in plan.open]
        self._seen: Counter[tuple[str, str | None]] = Counter()  # trials
        self._trials = {stage.stage: stage.cost.trials for stage in plan.open}
        self._left: dict[tuple[str, str | None, TrialConfig, tuple[int, ...]], int] = {}

    def saw(self, trial: "Trial", folds: int) -> None:
        """A trial needs `folds` more; 0 when it has ended."""
        name = trial.stage, trial.arm, trial.config, trial.seeds
        self._seen[trial.stage, trial.arm] += name not in self._left
        self._left[name] = folds

    def knows(self, stage: str, trials: int) -> None:
        """A stage that follows from a search has so many trials: it has begun."""
        cost, fewer = self._planned[stage, None], self._trials[stage] - trials
        self.trials -= fewer
        self.folds_of_all -= fewer * (cost.folds // cost.trials)
        self._trials[stage] = trials

    def folds(self, trial: "Trial") -> int:
        """Of a whole trial."""
        cost = self._planned.get((trial.stage, trial.arm))
        return (
            cost.folds // cost.trials
            if cost
            else len(trial.seeds) * (trial.parts or self.plan.size.folds(trial.config))
        )

    def left(self, trial: "Trial") -> int:
        """Folds that a trial still needs."""
        return self._left.get((trial.stage, trial.arm, trial.config, trial.seeds), self.folds(trial))

    def seconds(self) -> list[float]:
        """Of each trial that has not ended: device time that it still needs."""
        size = self.plan.size
        known = [n * self.costs.seconds(Work(config, size)) for (_, _, config, _), n in self._left.items() if n]
        for arm, cost, work in self._arms:
            if unseen := cost.trials - self._seen[arm.stage, arm.name]:
                known += [cost.folds / cost.trials * self.costs.seconds(work)] * unseen
        seen = Counter[str]()
        for (name, _), trials in self._seen.items():
            seen[name] += trials
        for stage, works in self._open:
            each = stage.cost.folds / stage.cost.trials * sum(map(self.costs.seconds, works)) / len(works)
            known += [each] * (self._trials[stage.stage] - seen[stage.stage])
        return known

    def time_left(self, slots: int, busy: float) -> float:
        """Seconds until all trials have ended on `slots` devices that train for the share `busy` of the time."""
        return makespan(self.seconds(), slots) / busy
