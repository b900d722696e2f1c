"""What a study could find, said before anything is trained: its smallest detectable differences, in sentences."""

from collections.abc import Iterator
from math import prod

from analysis.stats.inference import LEVEL
from analysis.stats.power import detectable, detectable_effect, least_p
from search_spaces.config import FACTORS
from search_spaces.designs import Arm, comparable
from search_spaces.spec import Factorial, OneAtATime
from study.planning.cost_model import Size
from study.planning.plan import Plan, PlannedFollowing, PlannedSearch


def advice(plan: Plan) -> list[str]:
    """A sentence or two for every stage with arms, and for a search by whom it chooses."""
    said = [_chosen_by(plan, search) for search in plan.searches]
    for stage, design in plan.spec.stages.items():
        arms = [arm for arm, _ in plan.arms if arm.stage == stage]
        variants = [arm for arm in arms[1:] if _tested(arm, arms[0])]
        if not variants:
            continue
        seeds = len(arms[0].seeds)
        data = f"{plan.size.subjects} subjects, {plan.size.clips} clips, {seeds} seed{'s' * (seeds > 1)}"
        own = detectable(plan.size.clips, plan.size.subjects, seeds, len(variants))
        if own is None:
            said.append(f"{stage}: {_impossible(plan.size.subjects)}")
            continue
        many = f"{len(variants)} comparison{'s' * (len(variants) > 1)} with the baseline"
        said.append(f"{stage}: {many}, {data}: {_found(own)}{_hardly(plan.size.subjects, len(variants))}")
        if isinstance(design, Factorial) and (levels := _levels(design)):
            said.append(f"{stage}: {_of_factorial(levels, plan.size, seeds)}")
        if isinstance(design, OneAtATime):
            said += [f"{stage}: {line}" for line in _instead(_levels(design), plan.size, seeds, own)]
    return said + [_of_following(plan, stage) for stage in plan.following if stage.comparisons]


def _tested(arm: Arm, baseline: Arm) -> bool:
    """Whether an arm is compared with the baseline by a test."""
    return arm.name != "null" and arm.config.control == "none" and comparable(arm.config, baseline.config)


def _chosen_by(plan: Plan, search: PlannedSearch) -> str:
    """Who judges in a search, who is left to test, and what that saves."""
    subjects, folds = plan.size.subjects, plan.choosers
    if folds is None:
        return (
            f"{search.stage}: all {subjects} subjects choose: what later stages say of its choice is marked, and the "
            "report corrects it"
        )
    whole = search.cost.folds // folds * plan.size.folds(plan.spec.baseline_config())
    choose = f"{subjects - plan.testers} of {subjects} subjects choose, {plan.testers} test what was chosen"
    raced = "" if search.design.race == "none" else ", before the race, which saves about half of each"
    return f"{search.stage}: {choose}; {search.cost.folds:,} folds in place of {whole:,}{raced}"


def _of_following(plan: Plan, stage: PlannedFollowing) -> str:
    """What a stage can find whose arms a search chooses, and what it could with all subjects."""
    size, seeds, rows = plan.size, stage.design.seeds, stage.comparisons
    tests = plan.testers
    own = detectable(round(size.clips * tests / size.subjects), tests, seeds, rows)
    if own is None:
        return f"{stage.stage}: {_impossible(tests)}"
    those = f"{tests} subjects{' that test' * bool(plan.choosers)}"
    many = f"at most {rows} comparison{'s' * (rows > 1)}, {those}, {seeds} seed{'s' * (seeds > 1)}"
    whole = detectable(size.clips, size.subjects, seeds, rows)
    beside = f"; all {size.subjects} would find {whole:.3f}, had none of them chosen" if plan.choosers else ""
    return f"{stage.stage}: {many}: {_found(own)}{_hardly(tests, rows)}{beside}"


def _found(difference: float) -> str:
    return (
        f"a UF1 difference of {difference:.3f} is found in four cases of five, a smaller one less often (expected from "
        "other datasets' variance)"
    )


def _impossible(subjects: int) -> str:
    return f"no verdict possible: with {subjects} subjects no p is below {least_p(subjects):.3g}"


def _hardly(subjects: int, rows: int) -> str:
    """Where only the clearest row could have a verdict."""
    least = least_p(subjects)
    return f"; hardly any verdict possible: the least p is {least:.3g}, of {rows} rows" * (rows * least > 1 - LEVEL)


def _levels(design: Factorial | OneAtATime) -> dict[str, int]:
    """Levels of each factor, the baseline's included."""
    if isinstance(design, Factorial):
        return {name: len(levels) for name, levels in design.factors.given().items() if len(levels) > 1}
    return {name: 1 + len(levels) for name, levels in design.vary.given().items()}


def _of_factorial(levels: dict[str, int], size: Size, seeds: int) -> str:
    return f"a factor's effect, averaged over the others, of {_effect(levels, size, seeds):.3f}"


def _effect(levels: dict[str, int], size: Size, seeds: int) -> float:
    effects, settings = sum(levels.values()) - len(levels), prod(levels.values()) // max(levels.values())
    found = detectable_effect(size.clips, size.subjects, seeds, effects, settings)
    assert found is not None
    return found


def _instead(levels: dict[str, int], size: Size, seeds: int, own: float) -> Iterator[str]:
    """Whether a factorial of as many runs as the baseline and its changes one at a time would find smaller effects."""
    runs = (1 + sum(levels.values()) - len(levels)) * seeds
    kept = dict(sorted(levels.items(), key=lambda item: item[1]))
    while len(kept) > 1 and prod(kept.values()) > runs:
        kept.popitem()
    if len(kept) < 2:
        return
    cells = prod(kept.values())
    many = f"{cells} configurations, {runs // cells} seed{'s' * (runs // cells > 1)}"
    found = _effect(kept, size, runs // cells)
    names = " x ".join(name for name in ("architecture", *FACTORS) if name in kept)
    rest = f", and nothing of {', '.join(name for name in levels if name not in kept)}" if kept != levels else ""
    verdict = f"would find effects of {found:.3f}" if found < own else f"would do no better ({found:.3f})"
    yield f"a factorial of {names} of as many runs ({many}) {verdict}{rest}"
