"""Designs: from a study file to the arms of its tables."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.config import TrialConfig, resolve
from search_spaces.spec import Factorial, Fixed, Listed, OneAtATime, StudySpec

# The first seed of each stage, and of its null arm: they never meet.
FIRST_SEED = {"search": 1000, "confirm": 2000, "ablate": 3000}
FIRST_NULL_SEED = {"search": 6000, "confirm": 5000, "ablate": 4000}
BASELINE = "baseline"


@dataclass(frozen=True)
class Arm:
    """A row of an ablation table: a configuration under a name, its seeds, and its changes to the baseline."""

    stage: str
    name: str
    config: TrialConfig
    seeds: tuple[int, ...]
    changes: dict[str, Any]


def seeds(stage: str, n: int, first: dict[str, int] = FIRST_SEED) -> tuple[int, ...]:
    """The n seeds of a stage, or with FIRST_NULL_SEED of its null arm."""
    return tuple(range(first[stage], first[stage] + n))


def arms(spec: StudySpec) -> list[Arm]:
    """The arms of all stages whose design names them beforehand: baseline first, then the design's, then controls."""
    return [
        arm for stage, design in spec.stages.items() if isinstance(design, Fixed) for arm in _arms(spec, stage, design)
    ]


def _arms(spec: StudySpec, stage: str, design: Fixed) -> Iterator[Arm]:
    baseline = spec.baseline_config()
    own: dict[str, dict[str, Any]] = {BASELINE: {}, **dict(_changes(design))}
    seen: set[str] = set()
    for name, levels in own.items():
        config = dataclasses.replace(baseline, **resolve(levels))
        if config.key() not in seen:  # a factorial holds the baseline as one of its cells
            seen.add(config.key())
            yield Arm(stage, name, config, seeds(stage, design.seeds), difference(config, baseline))
    for control in design.controls:
        if control == "null":
            yield Arm(stage, "null", baseline, seeds(stage, design.seeds, FIRST_NULL_SEED), {})
            continue
        # A single frame has no difference to an onset frame: it is shown as it is.
        shown = "gray" if control == "single_frame" else baseline.input
        config = dataclasses.replace(baseline, control=control, input=shown)
        yield Arm(stage, control, config, seeds(stage, design.seeds), difference(config, baseline))


def _changes(design: Fixed) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names of arms and the levels they change."""
    if isinstance(design, Factorial):
        factors = design.factors.given()
        for levels in itertools.product(*factors.values()):
            cell = dict(zip(factors, levels, strict=True))
            yield ", ".join(f"{name}={level}" for name, level in cell.items()), cell
    if isinstance(design, OneAtATime):
        for name, levels in design.vary.given().items():
            yield from ((f"{name}={level}", {name: level}) for level in levels)
    if isinstance(design, Listed | OneAtATime):
        yield from ((name, levels.given()) for name, levels in design.arms.items())


def difference(config: TrialConfig, baseline: TrialConfig) -> dict[str, Any]:
    """Factors whose level is not the baseline's, with their level."""
    pairs = ((f.name, getattr(config, f.name), getattr(baseline, f.name)) for f in dataclasses.fields(config))
    return {name: own for name, own, other in pairs if own != other}


def conflicts(spec: StudySpec) -> list[str]:
    """Arms whose levels contradict each other, the baseline included, and arms that would be one."""
    named = {BASELINE: spec.baseline_config()} | {f"{a.stage}, arm {a.name}": a.config for a in arms(spec)}
    found = [f"{name}: {problem}" for name, config in named.items() for problem in config.conflicts()]
    for stage, design in spec.stages.items():
        if isinstance(design, Fixed):
            found += [f"stages.{stage}: {problem}" for problem in _repeats(spec.baseline_config(), design)]
    return list(dict.fromkeys(found))


def _repeats(baseline: TrialConfig, design: Fixed) -> Iterator[str]:
    """Names given twice, and arms that are the same configuration as another: only one of them could be shown."""
    yield from (f"controls: {name} is given twice" for name in _twice(design.controls))
    changes = list(_changes(design))
    yield from (f"two arms have the name {name}" for name in _twice([name for name, _ in changes]))
    for name in {BASELINE, *design.controls} & {name for name, _ in changes}:
        yield f"arms: {name} is the name of an arm that losolab makes itself"
    seen = {baseline.key(): BASELINE}
    for name, levels in changes:
        config = dataclasses.replace(baseline, **resolve(levels))
        is_baseline = not difference(config, baseline) and name not in _named(design)
        if config.key() in seen and not is_baseline:
            yield f"arm {name} is the same configuration as {seen[config.key()]}: what it changes has no effect there"
        seen.setdefault(config.key(), name)


def _named(design: Fixed) -> set[str]:
    return set(design.arms) if isinstance(design, Listed | OneAtATime) else set()


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
