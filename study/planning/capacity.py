"""The capacity control: beside every arm that has fewer parameters than the baseline a wider one that has as many."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from search_spaces.config import BLOCKS, FACTORS, TrialConfig
from search_spaces.designs import changed_arms, difference
from search_spaces.factor_schema import Levels
from search_spaces.spec import Fixed, Listed, OneAtATime, StudySpec
from study.models.geometry import geometry, infeasible

FEWER, NEAR = 0.05, 0.02  # shares of the baseline's parameters: from how many fewer on, and how near the wider one is
MARK = ", same capacity"
_MOST = {name: int(FACTORS[name].metadata["high"]) for name in ("filters", "hidden")}


def with_capacity_arms(spec: StudySpec, n_classes: int) -> StudySpec:
    """The study with the matched arms among those of its stages that ask for the control; the same again as itself."""
    stages: dict[Any, Any] = dict(spec.stages)
    for stage, design in spec.stages.items():
        if _asks(design) and isinstance(design, Listed | OneAtATime):
            wider = {f"{name}{MARK}": Levels(**own) for name, own in _matched(spec, design, n_classes) if own}
            stages[stage] = design.model_copy(update={"arms": _each_below_its_own(design.arms, wider)})
    return spec.model_copy(update={"stages": stages})


def _each_below_its_own(arms: dict[str, Levels], wider: dict[str, Levels]) -> dict[str, Levels]:
    """All of them, a matched arm below the one that it is matched to."""
    ordered: dict[str, Levels] = {}
    for name, levels in arms.items():
        ordered[name] = levels
        if f"{name}{MARK}" in wider:
            ordered[f"{name}{MARK}"] = wider[f"{name}{MARK}"]
    return ordered | wider


def unmatched(spec: StudySpec, n_classes: int) -> Iterator[str]:
    """The arms that no width brings to the baseline's parameters, one sentence each."""
    for design in spec.stages.values():
        if _asks(design) and isinstance(design, Listed | OneAtATime):
            for name, own in _matched(spec, design, n_classes):
                if own is None:
                    yield (
                        f"{name} has fewer parameters than the baseline, and neither filters nor hidden bring it "
                        f"within {100 * NEAR:g} %: its difference to the baseline may be one of capacity."
                    )


def _asks(design: object) -> bool:
    return isinstance(design, Fixed) and "capacity" in design.controls


def _matched(
    spec: StudySpec, design: Listed | OneAtATime, n_classes: int
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The levels of the matched arm of each arm that needs one; None where there is none."""
    baseline = spec.baseline_config()
    if baseline.network != BLOCKS:
        return
    whole = _parameters(baseline, n_classes)
    for name, config in changed_arms(baseline, design).items():
        of_width = difference(config, baseline).keys() <= _MOST.keys()  # to widen it would make it the baseline
        fit = config.network == BLOCKS and not of_width and not config.conflicts() and not infeasible(config)
        if name.endswith(MARK) or not fit or _parameters(config, n_classes) >= (1 - FEWER) * whole:
            continue
        wide = _widened(config, whole, n_classes)
        yield name, None if wide is None else difference(wide, baseline)


@cache  # the arms ask, then the notes
def _widened(config: TrialConfig, whole: int, n_classes: int) -> TrialConfig | None:
    """The configuration with more filters, and else with as many and more hidden units, that has `whole` parameters."""

    def distance(one: TrialConfig) -> float:
        return abs(_parameters(one, n_classes) / whole - 1)

    by_filters = [replace(config, filters=n) for n in range(config.filters, _MOST["filters"] + 1)]
    best = min(by_filters, key=distance)
    if distance(best) <= NEAR:
        return best
    below = [one for one in by_filters if _parameters(one, n_classes) <= whole]
    found = min(_more_hidden(below[-1]), key=distance) if below else best
    return found if distance(found) <= NEAR else None


def _more_hidden(config: TrialConfig) -> Iterable[TrialConfig]:
    return (replace(config, hidden=n) for n in range(config.hidden, _MOST["hidden"] + 1))


def _parameters(config: TrialConfig, n_classes: int) -> int:
    return geometry(config, n_classes).parameters
