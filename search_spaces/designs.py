"""Designs: from a study file to the arms of its tables."""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from search_spaces.config import TrialConfig, resolve
from search_spaces.spec import Factorial, Fixed, Listed, OneAtATime, StudySpec

# The first seed of each stage: seeds of search, confirm, ablate and null never meet.
FIRST_SEED = {"search": 1000, "confirm": 2000, "ablate": 3000, "null": 4000}
BASELINE = "baseline"


@dataclass(frozen=True)
class Arm:
    """A row of an ablation table: a configuration under a name, its seeds, and its changes to the baseline."""

    stage: str
    name: str
    config: TrialConfig
    seeds: tuple[int, ...]
    changes: dict[str, Any]


def seeds(stage: str, n: int) -> tuple[int, ...]:
    """The n seeds of a stage (or of the null arm)."""
    return tuple(range(FIRST_SEED[stage], FIRST_SEED[stage] + n))


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
            yield Arm(stage, "null", baseline, seeds("null", design.seeds), {})
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
    """Arms whose levels contradict each other, the baseline included; also a control that is named like an arm."""
    named = {BASELINE: spec.baseline_config()} | {f"{a.stage}, arm {a.name}": a.config for a in arms(spec)}
    found = [f"{name}: {problem}" for name, config in named.items() for problem in config.conflicts()]
    for stage, design in spec.stages.items():
        reserved = {BASELINE, *getattr(design, "controls", [])} & set(getattr(design, "arms", {}))
        found += [f"stages.{stage}.arms: {name} is the name of an arm that losolab makes itself" for name in reserved]
    return list(dict.fromkeys(found))
