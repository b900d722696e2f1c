"""Search: proposals by Optuna that are the same for one worker or many, today or after a crash."""

import dataclasses
import itertools
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from search_spaces.config import FACTORS, TrialConfig, architecture, resolve
from search_spaces.designs import seeds
from search_spaces.identity import digest, stream
from search_spaces.levels import Range
from search_spaces.spec import Search, StudySpec
from study.clock import VirtualClock
from study.ledger import Ledger, Outcome
from study.trials import Trial

_REPEATED_ASKS = 5  # then the next unseen configuration in a seeded order is taken
_FINITE = 100_000  # configurations that are counted one by one

Levels = dict[str, Any]


class Proposals:
    """The trials of a search, one after another, each proposed with what the virtual clock lets it know.

    A resumed search replays its proposals against the ledger: asks that were recorded are put back, and what was
    told is told again.
    """

    def __init__(
        self,
        stage: str,
        spec: StudySpec,
        ledger: Ledger,
        cost: Callable[[TrialConfig], float],
        problems: Callable[[TrialConfig], list[str]],
    ) -> None:
        design = spec.stages[stage]  # type: ignore[index]
        assert isinstance(design, Search)
        self.stage, self.design, self.ledger, self.cost, self.problems = stage, design, ledger, cost, problems
        self.baseline = spec.baseline_config()
        asked = design.model_dump(mode="json", exclude_defaults=True, exclude={"proposals"})
        self.identity = digest([self.baseline.explicit(), stage, asked])
        self.space = distributions(design)
        self.recorded = ledger.proposals(stage)
        self.clock = VirtualClock(design.virtual_slots)
        self.size = design.proposals
        self.trials: list[Trial] = []
        self.asked: list[optuna.trial.Trial] = []
        self.seen: set[str] = set()
        self.unseen = self._unseen()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(direction="maximize")

    def next(self) -> Trial | None:
        """The next trial that is not done, None when there are no more; raises Wait when that is still open."""
        while len(self.trials) < self.size:
            self._tell_ended()
            if (trial := self._propose(len(self.trials))) is None:
                self.size = len(self.trials)
                return None
            self.clock.begin(len(self.trials))
            self.trials.append(trial)
            outcome = self.ledger.outcome(trial.number)
            if outcome is None or outcome.state == "failed":
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
                self.clock.finish(number, outcome.kept * self.cost(trial.config))
            else:
                self.clock.progress(number, len(self.ledger.done(trial)) * self.cost(trial.config))
        while (ended := self.clock.next_end()) is not None:
            self.ledger.tell(self.trials[ended].number, ends[ended])
            if ends[ended].state == "complete":
                self.study.tell(self.asked[ended], ends[ended].value)
            else:
                self.study.tell(self.asked[ended], state=TrialState.FAIL)

    def _propose(self, number: int) -> Trial | None:
        """Proposal `number`: put back where the ledger has it, else asked for. None when the space is used up."""
        if number < len(self.recorded):
            recorded = self.recorded[number]
            for levels in recorded.rejected:
                self._reject(self._ask(number, levels)[0])
            asked, levels = self._ask(number, recorded.levels)
            self._accept(asked, recorded.trial.config)
            return recorded.trial
        rejected: list[Levels] = []
        put = known_levels(self.design, self.baseline) if number == 0 else None
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
        own = seeds(self.stage, self.design.seeds)
        return self.ledger.propose(self.stage, None, config, own, levels, rejected)

    def _ask(self, number: int, put: Levels | None, repeated: int = 0) -> tuple[optuna.trial.Trial, Levels]:
        """Ask once, with a sampler seeded for this proposal; with `put`, these levels are what is proposed."""
        self.study.sampler = _sampler(self.design, stream(self.identity, number, repeated) % 2**32)
        if put is not None:
            self.study.enqueue_trial(put)
        asked = self.study.ask()
        levels: Levels = {}
        for name, distribution in self.space.items():
            if _is_active(self.baseline, levels, name):
                levels[name] = _suggest(asked, name, distribution)
        return asked, levels

    def _accept(self, asked: optuna.trial.Trial, config: TrialConfig) -> None:
        self.seen.add(config.key())
        self.asked.append(asked)

    def _reject(self, asked: optuna.trial.Trial) -> None:
        self.study.tell(asked, state=TrialState.FAIL)

    def _unseen(self) -> Iterator[Levels]:
        """Feasible configurations that were not proposed yet, in a seeded order; of a continuous space, random ones."""
        for levels in _everything(self.space, stream(self.identity, "unseen")):
            config = configuration(
                self.baseline, {n: v for n, v in levels.items() if _is_active(self.baseline, levels, n)}
            )
            if config.key() not in self.seen and not self.problems(config):
                yield {name: level for name, level in levels.items() if _is_active(self.baseline, levels, name)}


def distributions(design: Search) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each factor of a search, in the order of TrialConfig (conditions come first)."""
    given = design.factors.given()
    ordered = [name for name in ("architecture", *FACTORS) if name in given]
    return {name: _distribution(given[name]) for name in ordered}


def combinations(design: Search, names: Sequence[str]) -> list[Levels]:
    """Every combination of the levels that a search has of these factors, which must be lists."""
    given = {name: levels for name, levels in design.factors.given().items() if name in names}
    return [dict(zip(given, cell, strict=True)) for cell in itertools.product(*given.values())]


def sample_space(design: Search, most: int = 1000) -> list[Levels]:
    """Up to `most` configurations of a search's space, of a small finite one all, each once."""
    return list(itertools.islice(_everything(distributions(design), 0), most))


def known_levels(design: Search, baseline: TrialConfig) -> Levels | None:
    """The baseline in a search's factors, or None where it lies outside of them."""
    levels = {
        n: architecture(baseline) if n == "architecture" else getattr(baseline, n) for n in design.factors.given()
    }
    given = design.factors.given()
    return levels if all(_holds(given[name], level) for name, level in levels.items()) else None


def configuration(baseline: TrialConfig, levels: Levels) -> TrialConfig:
    """The baseline with a proposal's levels."""
    return dataclasses.replace(baseline, **resolve(levels))


def _distribution(given: Any) -> BaseDistribution:
    if isinstance(given, Range):
        return FloatDistribution(given.low, given.high, log=given.log)
    return CategoricalDistribution(given)


def _holds(given: Any, level: Any) -> bool:
    return given.low <= level <= given.high if isinstance(given, Range) else level in given


def _suggest(asked: optuna.trial.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, FloatDistribution):
        return asked.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, CategoricalDistribution)
    return asked.suggest_categorical(name, distribution.choices)


def _is_active(baseline: TrialConfig, levels: Levels, name: str) -> bool:
    return name == "architecture" or configuration(baseline, levels).is_active(FACTORS[name])


def _sampler(design: Search, seed: int) -> BaseSampler:
    if design.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=design.startup)


def _everything(space: dict[str, BaseDistribution], seed: int) -> Iterator[Levels]:
    """All levels of a finite space in a seeded order, each once; of another, a bounded number of random draws."""
    rng = random.Random(seed)
    lists = [d.choices for d in space.values() if isinstance(d, CategoricalDistribution)]
    size = 1
    for choices in lists:
        size *= len(choices)
    if len(lists) == len(space) and size <= _FINITE:
        cells = list(itertools.product(*lists))
        rng.shuffle(cells)
        yield from (dict(zip(space, cell, strict=True)) for cell in cells)
        return
    for _ in range(_FINITE):
        yield {name: _draw(rng, distribution) for name, distribution in space.items()}


def _draw(rng: random.Random, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return rng.choice(distribution.choices)
    assert isinstance(distribution, FloatDistribution)
    if distribution.log:
        return distribution.low * (distribution.high / distribution.low) ** rng.random()
    return rng.uniform(distribution.low, distribution.high)
