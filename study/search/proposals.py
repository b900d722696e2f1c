"""Search: proposals by Optuna that are the same for one worker or many, today or after a crash."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from search_spaces.config import TrialConfig
from search_spaces.designs import seeds
from search_spaces.digests import digest, stream
from search_spaces.spec import Race, Search, StudySpec
from study.ledger.writer import Ledger, Outcome
from study.search.space import (
    Levels,
    configuration,
    directions,
    distributions,
    everything,
    is_active,
    known_levels,
    values,
)
from study.search.virtual_clock import VirtualClock
from study.trials.subject_order import Course, Opponent
from study.trials.trial import Trial

_REPEATED_ASKS = 5  # then the next unseen configuration in a seeded order is taken


class Proposals:
    """The trials of a search, one after another, each proposed with what the virtual clock lets it know.

    A resumed search replays its proposals against the ledger: asks that were recorded are put back, and what was
    told is told again. `course` is what its trials race over.
    """

    def __init__(
        self,
        stage: str,
        spec: StudySpec,
        ledger: Ledger,
        course: Course,
        cost: Callable[[TrialConfig], float],
        problems: Callable[[TrialConfig], list[str]],
    ) -> None:
        design = spec.design(stage)
        assert isinstance(design, Search)
        self.stage, self.design, self.ledger, self.course = stage, design, ledger, course
        self.cost, self.problems = cost, problems
        self.baseline = spec.baseline_config()
        known = known_levels(design, self.baseline).values()
        self.known = list({configuration(self.baseline, one).key(): one for one in known}.values())
        asked = design.model_dump(mode="json", exclude_defaults=True, exclude={"proposals", "race", "chosen_by"})
        self.identity = digest([self.baseline.explicit(), stage, asked])
        self.space = distributions(design)
        self.recorded = ledger.proposals(stage)
        self.clock = VirtualClock(design.virtual_slots)
        self.size = design.proposals
        self.trials: list[Trial] = []
        self.asked: list[optuna.trial.Trial] = []
        self.seen: set[str] = set()
        self.best: tuple[Trial, float] | None = None  # of the complete trials that were told
        self.unseen = self._unseen()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(directions=directions(design))

    def next(self) -> Trial | None:
        """The next trial that is not done, None when there are no more; raises Wait when that is still open."""
        while len(self.trials) < self.size:
            self._tell_ended()
            if (trial := self._propose(len(self.trials))) is None:
                self.size = len(self.trials)
                return None
            self.clock.begin(len(self.trials), self._least_cost(trial))
            self.trials.append(trial)
            outcome = self.ledger.outcome(trial.number)
            if outcome is None:
                return trial
            if outcome.state == "failed":  # told before it may be run again: that changes no proposal
                self.ledger.tell(trial.number, outcome)
                return trial
        return None

    def _tell_ended(self) -> None:
        """Tell Optuna of the trials that end before a virtual slot is free; raises Wait."""
        ends: dict[int, Outcome] = {}
        for number in self.clock.start:
            trial = self.trials[number]
            # What was told stands, for the clock as well: a failed trial that is run again changes no later proposal.
            if outcome := self.ledger.told(trial.number) or self.ledger.outcome(trial.number):
                ends[number] = outcome
                self.clock.finish(number, self._cost_of(trial, outcome))
            else:
                self.clock.progress(number, self._least_cost(trial))
        while (ended := self.clock.next_end()) is not None:
            self._tell(ended, ends[ended])

    def _tell(self, number: int, outcome: Outcome) -> None:
        """Tell Optuna how a trial ended. A pruned one is told as complete with its imputed UF1.

        Told as pruned, it would have the score of its last subject for a value, and the GP would not see it.
        """
        trial = self.trials[number]
        self.ledger.tell(trial.number, outcome)
        if outcome.value is None:
            self.study.tell(self.asked[number], state=TrialState.FAIL)
            return
        self.study.tell(self.asked[number], values(self.design, trial.config, outcome.value, len(self.course.classes)))
        if outcome.state == "complete" and (self.best is None or outcome.value > self.best[1]):
            self.best = trial, outcome.value

    def _cost_of(self, trial: Trial, outcome: Outcome) -> float:
        """What a trial has cost in virtual time; one that failed as much as if it had not, wherever that was."""
        all_folds = len(self.course.parts) * len(trial.seeds)
        return (outcome.kept if outcome.state == "pruned" else all_folds) * self.cost(trial.config)

    def _least_cost(self, trial: Trial) -> float:
        """The least that a trial will have cost: up to the next look at its race, or all its folds without one."""
        parts = len(self.course.parts)
        if trial.opponent is not None:
            decided = self.course.decided(trial.opponent, trial.seeds, self.ledger.predictions(trial))
            parts = min(parts, max(trial.opponent.first, decided + 1))
        return parts * len(trial.seeds) * self.cost(trial.config)

    def _propose(self, number: int) -> Trial | None:
        """Proposal `number`: put back where the ledger has it, else asked for. None when the space is used up."""
        if number < len(self.recorded):
            recorded = self.recorded[number]
            for levels in recorded.rejected:
                self._reject(self._ask(number, levels)[0])
            asked, levels = self._ask(number, recorded.levels)
            self._accept(asked, recorded.trial.config)
            return replace(recorded.trial, opponent=self._opponent(recorded.opponent))
        rejected: list[Levels] = []
        put = self.known[number] if number < len(self.known) else None
        while True:
            if len(rejected) == _REPEATED_ASKS and (put := next(self.unseen, None)) is None:
                return None
            asked, levels = self._ask(number, put, len(rejected))
            config = configuration(self.baseline, levels)
            if config.key() not in self.seen and not self.problems(config):
                break
            self._reject(asked)
            rejected.append(levels)
        self._accept(asked, config)
        raced = self.design.race != "none" and number >= len(self.known) and self.best is not None
        opponent = self.best[0].number if raced and self.best else None
        own = seeds(self.stage, self.design.seeds)
        trial = self.ledger.propose(self.stage, None, config, own, levels, rejected, opponent)
        return replace(trial, opponent=self._opponent(opponent))

    def _opponent(self, number: int | None) -> Opponent | None:
        """A told complete trial as an opponent."""
        if number is None:
            return None
        assert isinstance(self.design.race, Race)
        (trial,) = [trial for trial in self.trials if trial.number == number]
        told = self.ledger.told(number)
        assert told is not None
        assert told.value is not None
        counts = self.course.counts(trial.seeds, self.ledger.predictions(trial), len(self.course.parts))
        return Opponent(number, told.value, counts, self.design.race.p, self.design.race.first)

    def _ask(self, number: int, put: Levels | None, repeated: int = 0) -> tuple[optuna.trial.Trial, Levels]:
        """Ask once, with a sampler seeded for this proposal; with `put`, these levels are what is proposed."""
        self.study.sampler = _sampler(self.design, self.identity, stream(self.identity, number, repeated) % 2**32)
        if put is not None:
            self.study.enqueue_trial(put)
        asked = self.study.ask()
        if self.design.sampler == "qmc":
            _ = asked.relative_params  # draws the sequence's next point: what is put back has to count as well
        levels: Levels = {}
        for name, distribution in self.space.items():
            if is_active(self.baseline, levels, name):
                levels[name] = _suggest(asked, name, distribution)
        return asked, levels

    def _accept(self, asked: optuna.trial.Trial, config: TrialConfig) -> None:
        self.seen.add(config.key())
        self.asked.append(asked)

    def _reject(self, asked: optuna.trial.Trial) -> None:
        self.study.tell(asked, state=TrialState.FAIL)

    def _unseen(self) -> Iterator[Levels]:
        """Feasible configurations that were not proposed yet, in a seeded order; of a continuous space, random ones."""
        for levels in everything(self.space, stream(self.identity, "unseen")):
            active = {name: level for name, level in levels.items() if is_active(self.baseline, levels, name)}
            config = configuration(self.baseline, active)
            if config.key() not in self.seen and not self.problems(config):
                yield active


def _suggest(asked: optuna.trial.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, FloatDistribution):
        return asked.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return asked.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, CategoricalDistribution)
    return asked.suggest_categorical(name, distribution.choices)


def _sampler(design: Search, identity: str, seed: int) -> BaseSampler:
    """The sampler of one ask. Only samplers are offered whose proposals a replay repeats: NSGA-II's are others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if design.sampler == "random":
            return RandomSampler(seed=seed)
        if design.sampler == "gp":
            return GPSampler(seed=seed, n_startup_trials=design.startup, warn_independent_sampling=False)
        if design.sampler == "qmc":  # one sequence, whose points the study counts: its seed is the search's
            rest = RandomSampler(seed=seed)
            sequence = stream(identity, "qmc") % 2**32
            return QMCSampler(scramble=True, seed=sequence, independent_sampler=rest, warn_independent_sampling=False)
        return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=design.startup)
