"""A search's space: its factors as Optuna's distributions, and the configurations in it."""

import dataclasses
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection

from search_spaces.config import FACTORS, TrialConfig, architecture, resolve
from search_spaces.factor_schema import Range, WholeRange
from search_spaces.spec import Search
from study.models.sizes import network_size

_FINITE = 100_000  # configurations that are counted one by one

Levels = dict[str, Any]


def distributions(design: Search) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each factor of a search, in the order of TrialConfig (conditions come first)."""
    given = design.factors.given()
    ordered = [name for name in ("architecture", *FACTORS) if name in given]
    return {name: _distribution(given[name]) for name in ordered}


def directions(design: Search) -> list[StudyDirection]:
    """UF1 up, sizes down."""
    return [StudyDirection.MAXIMIZE if name == "uf1" else StudyDirection.MINIMIZE for name in design.objectives]


def values(design: Search, config: TrialConfig, uf1: float, n_classes: int) -> list[float]:
    """What Optuna is told of a trial, by objective: UF1, then sizes, which are computed."""
    sizes = design.objectives[1:]
    layers = network_size(config, n_classes) if sizes else None
    return [uf1, *(float(getattr(layers, name)) for name in sizes)]


def combinations(design: Search, names: Sequence[str]) -> list[Levels]:
    """Every combination of the levels that a search has of these factors, which must be lists."""
    given = {name: levels for name, levels in design.factors.given().items() if name in names}
    return [dict(zip(given, cell, strict=True)) for cell in itertools.product(*given.values())]


def sample_space(design: Search, most: int = 1000) -> tuple[Levels, ...]:
    """Up to `most` configurations of a search's space, of a small finite one all, each once."""
    return _sampled(tuple(distributions(design).items()), most)


@lru_cache(maxsize=16)  # a plan asks for the same ones again and again
def _sampled(space: tuple[tuple[str, BaseDistribution], ...], most: int) -> tuple[Levels, ...]:
    return tuple(itertools.islice(everything(dict(space), 0), most))


def known_levels(design: Search, baseline: TrialConfig) -> dict[str, Levels]:
    """The configurations with which a search begins, by name: the baseline, then those that its design names.

    A level that one of them leaves out is the baseline's.
    """
    own = {n: architecture(baseline) if n == "architecture" else getattr(baseline, n) for n in design.factors.given()}
    return {"the baseline": own} | {f"known[{i}]": own | one.given() for i, one in enumerate(design.known)}


def outside(design: Search, baseline: TrialConfig) -> list[str]:
    """What of the configurations with which a search begins is not in its space, one sentence each."""
    given, problems = design.factors.given(), []
    for name, levels in known_levels(design, baseline).items():
        if wrong := [f"{n}={level}" for n, level in levels.items() if n in given and not _holds(given[n], level)]:
            problems.append(f"factors: must hold those of {name}, with which the search begins: {', '.join(wrong)}")
        if strange := [n for n in levels if n not in given]:
            problems.append(f"{name}: {', '.join(strange)}: no factors of this search")
    return problems


def configuration(baseline: TrialConfig, levels: Levels) -> TrialConfig:
    """The baseline with a proposal's levels."""
    return dataclasses.replace(baseline, **resolve(levels))


def _distribution(given: Any) -> BaseDistribution:
    if isinstance(given, WholeRange):
        return IntDistribution(int(given.low), int(given.high), log=given.log, step=given.step)
    if isinstance(given, Range):
        return FloatDistribution(given.low, given.high, log=given.log)
    return CategoricalDistribution(given)


def _holds(given: Any, level: Any) -> bool:
    if isinstance(given, WholeRange):
        return level in given.levels()
    return given.low <= level <= given.high if isinstance(given, Range) else level in given


def is_active(baseline: TrialConfig, levels: Levels, name: str) -> bool:
    return name == "architecture" or configuration(baseline, levels).is_active(FACTORS[name])


def everything(space: dict[str, BaseDistribution], seed: int) -> Iterator[Levels]:
    """All levels of a finite space in a seeded order, each once; of another, a bounded number of random draws."""
    rng = random.Random(seed)
    lists = [levels for d in space.values() if (levels := _levels(d)) is not None]
    if len(lists) == len(space) and math.prod(map(len, lists)) <= _FINITE:
        cells = list(itertools.product(*lists))
        rng.shuffle(cells)
        yield from (dict(zip(space, cell, strict=True)) for cell in cells)
        return
    for _ in range(_FINITE):
        yield {name: _draw(rng, distribution) for name, distribution in space.items()}


def _levels(distribution: BaseDistribution) -> Sequence[Any] | None:
    """The levels of a list or of a range of whole numbers; None of a continuous factor."""
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    return distribution.choices if isinstance(distribution, CategoricalDistribution) else None


def _draw(rng: random.Random, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, IntDistribution) and distribution.log:  # each whole number for what rounds to it
        low, high = distribution.low - 0.5, distribution.high + 0.5
        return min(max(round(low * (high / low) ** rng.random()), distribution.low), distribution.high)
    if (levels := _levels(distribution)) is not None:
        return rng.choice(levels)
    assert isinstance(distribution, FloatDistribution)
    if distribution.log:
        return distribution.low * (distribution.high / distribution.low) ** rng.random()
    return rng.uniform(distribution.low, distribution.high)
