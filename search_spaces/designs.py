"""Designs: from a study file to the arms of its tables."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from search_spaces.config import TrialConfig, resolve
from search_spaces.errors import shown
from search_spaces.protocols import protocol
from search_spaces.spec import ControlArm, Factorial, Fixed, Listed, OneAtATime, Search, StudySpec, Top
from search_spaces.spelling import spelling, spelt_twice

Around = Listed | Factorial | OneAtATime  # designs that change one configuration

# The first seed of each stage, and of its null arm: they never meet.
FIRST_SEED = {"search": 1000, "confirm": 2000, "ablate": 3000}
FIRST_NULL_SEED = {"search": 6000, "confirm": 5000, "ablate": 4000}
BASELINE, WINNER = "baseline", "winner"
_LONGEST_NAME = 200  # letters of an arm's name
_SHUFFLED_SEEDS = 5  # at least, of the control whose seeds decide (analysis.questions.leaks)


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
    baseline = spec.baseline_config()
    return [
        arm
        for stage, design in spec.stages.items()
        if isinstance(design, Fixed) and not follows(design)
        for arm in _arms(stage, design, {BASELINE: baseline, **changed_arms(baseline, design)})
    ]


def follows(design: Fixed | Search) -> bool:
    """Whether the arms of a design are only known when the stages before it have ended."""
    return isinstance(design, Top) or (isinstance(design, Around) and design.around == "winner")


def arms_of_best(stage: str, design: Top, baseline: TrialConfig, best: Mapping[str, TrialConfig]) -> list[Arm]:
    """The baseline, then the best of a search by name, then controls of the baseline."""
    return list(_arms(stage, design, {BASELINE: baseline, **best}))


def arms_around(stage: str, design: Around, winner: TrialConfig, baseline: TrialConfig) -> list[Arm]:
    """The winner, then an arm `- X` for each factor X that is set back to the baseline's level, then the design's.

    What changes nothing there is no arm. Some may be impossible: the caller asks the configuration's conflicts.
    """
    own = {WINNER: winner}
    if isinstance(design, OneAtATime):
        for name, levels in _set_back(winner, baseline):
            own[f"- {name}"] = dataclasses.replace(winner, **levels)
    return list(_arms(stage, design, own | changed_arms(winner, design)))


def _arms(stage: str, design: Fixed, named: Mapping[str, TrialConfig]) -> Iterator[Arm]:
    """Named configurations as arms, the first of them the one that is changed; then the design's controls of it."""
    centre, seen = next(iter(named.values())), set[str]()
    outer = protocol(centre.protocol).outer  # a control or the null arm is no candidate: nothing is chosen within it
    for name, config in named.items():
        if config.key() not in seen:  # a factorial holds the baseline as one of its cells
            seen.add(config.key())
            yield Arm(stage, name, config, seeds(stage, design.seeds), difference(config, centre))
    for control in design.controls:
        if control == "capacity":  # its arms are among the design's (study.planning.capacity)
            continue
        if control == "null":
            yield Arm(
                stage,
                "null",
                dataclasses.replace(centre, protocol=outer),
                seeds(stage, design.seeds, FIRST_NULL_SEED),
                {},
            )
            continue
        # A single frame has no difference to an onset frame: it is shown as it is.
        shown = "gray" if control == "single_frame" else centre.input
        config = dataclasses.replace(centre, control=control, input=shown, protocol=outer)
        many = max(design.seeds, _SHUFFLED_SEEDS) if control == "shuffled_labels" else design.seeds
        yield Arm(stage, control, config, seeds(stage, many), difference(config, centre))


def _set_back(winner: TrialConfig, baseline: TrialConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """The baseline's level of each factor in which the winner differs; regions and fusion together where both do."""
    levels = {name: getattr(baseline, name) for name in difference(winner, baseline)}
    if {"regions", "fusion"} <= levels.keys():
        yield "architecture", {name: levels.pop(name) for name in ("regions", "fusion")}
    yield from ((name, {name: level}) for name, level in levels.items())


def changed_arms(centre: TrialConfig, design: Fixed) -> dict[str, TrialConfig]:
    """The configurations that a design makes of one, by name."""
    return {name: dataclasses.replace(centre, **resolve(levels)) for name, levels in _changes(design)}


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


def comparable(one: TrialConfig, other: TrialConfig) -> bool:
    """Whether a test over subjects can tell their scores apart: those of new subjects, by the same folds."""
    same = protocol(one.protocol).outer == protocol(other.protocol).outer
    return same and one.of_new_subjects and other.of_new_subjects


def conflicts(spec: StudySpec) -> list[str]:
    """Arms whose levels contradict each other, the baseline included, and arms that would be one."""
    named = {BASELINE: spec.baseline_config()} | {f"{a.stage}, arm {a.name}": a.config for a in arms(spec)}
    found = [f"{name}: {problem}" for name, config in named.items() for problem in config.conflicts()]
    if "protocol" in spec.baseline.given():
        found.append(
            "baseline.protocol: expected: the study's protocol at the top of the file, which is the baseline's"
        )
    if alone := [a.name for a in arms(spec) if _is_nested(a.config.protocol) and not _is_nested(spec.protocol)]:
        found.append(f"arm {alone[0]}: protocol: nested_loso is a whole study's; give it at the top of the study file")
    if _is_nested(spec.protocol):
        found += _unfit_for_nesting(spec)
    for stage, design in spec.stages.items():
        if isinstance(design, Search):
            found += [f"stages.{stage}.{problem}" for problem in _unfit_for_search(spec.baseline_config(), design)]
        if isinstance(design, Fixed):
            if "capacity" in design.controls and (follows(design) or not isinstance(design, Listed | OneAtATime)):
                found.append(f"stages.{stage}.controls: capacity is for one_at_a_time and listed around the baseline")
            found += [f"stages.{stage}: {problem}" for problem in _repeats(spec.baseline_config(), design)]
        if follows(design) and not any(isinstance(d, Search) for d in spec.before(stage).values()):
            what = "design: top takes the best of" if isinstance(design, Top) else "around: winner needs"
            found.append(f"stages.{stage}.{what} a search, and no stage before it has design: search")
    return list(dict.fromkeys(found))


def _is_nested(name: str) -> bool:
    return protocol(name).kind == "nested_loso"


def _unfit_for_nesting(spec: StudySpec) -> Iterator[str]:
    """What cannot be a candidate among which every outer fold chooses."""
    for stage, design in spec.stages.items():
        if not isinstance(design, Listed | Factorial) or follows(design):
            yield f"stages.{stage}: under nested_loso expected: design: listed or factorial, whose arms are known"
    for arm in arms(spec):
        if arm.config.checkpoint == "test_oracle":
            yield f"{arm.stage}, arm {arm.name}: checkpoint: test_oracle is no candidate for a choice: take another"


def _unfit_for_search(baseline: TrialConfig, design: Search) -> Iterator[str]:
    """What a search may not choose among: protocols, and epochs that were taken on the clips which judge it."""
    if "protocol" in design.factors.given() or any("protocol" in levels.given() for levels in design.known):
        yield "factors: protocol: what is held out is no factor of a search; give it at the top of the study file"
    asked = [*design.factors.given().get("checkpoint", ()), *(k.given().get("checkpoint") for k in design.known)]
    if "test_oracle" in [*asked, baseline.checkpoint]:
        yield "checkpoint: test_oracle takes the epoch on the held-out clips, and no search may choose it: take another"
    if design.race != "none" and "race" in design.model_fields_set and not protocol(baseline.protocol).raced:
        yield f"race: {baseline.protocol} has too few folds for one; leave it out"


def _repeats(baseline: TrialConfig, design: Fixed) -> Iterator[str]:
    """Names given twice, and arms that are the same configuration as another: only one of them could be shown."""
    yield from (f"controls: {name} is given twice" for name in _twice(design.controls))
    changes = [] if isinstance(design, Top) else list(_changes(design))
    yield from _names(design, [name for name, _ in changes])
    if follows(design):
        return  # what changes nothing there is left out
    seen = {baseline.key(): BASELINE}
    for name, levels in changes:
        config = dataclasses.replace(baseline, **resolve(levels))
        is_baseline = not difference(config, baseline) and name not in _named(design)
        if config.key() in seen and not is_baseline:
            yield f"arm {name} is the same configuration as {seen[config.key()]}: what it changes has no effect there"
        seen.setdefault(config.key(), name)


def _names(design: Fixed, names: Sequence[str]) -> Iterator[str]:
    """What is wrong with the names of arms: a row of a table is known by nothing else."""
    made, clear = {BASELINE, WINNER, *get_args(ControlArm)}, []
    for name in dict.fromkeys(names):
        if not spelling(name):
            yield f"arms: {name!r} is no name of an arm; expected: at least one letter or digit"
        elif name != name.strip() or len(name.splitlines()) > 1 or "\t" in name or len(name) > _LONGEST_NAME:
            plain = " ".join(name.split())[:_LONGEST_NAME]
            yield f"arms: {shown(name)} is no name on one line of at most {_LONGEST_NAME} letters; expected: {plain!r}"
        elif name in made:
            yield f"arms: {name} is the name of an arm that losolab makes itself"
        else:
            clear.append(name)
    yield from (f"two arms have the name {name}" for name in _twice(names))
    given = _named(design)
    for same in spelt_twice([*made, *clear]):
        if given.intersection(same):  # levels of a factor may differ in case alone: nets:tiny and nets:Tiny
            told = " and ".join(map(repr, same))
            yield f"arms: {told} are one name in {len(same)} spellings; expected: names that a reader tells apart"


def _named(design: Fixed) -> set[str]:
    return set(design.arms) if isinstance(design, Listed | OneAtATime) else set()


def _twice(names: Sequence[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)
