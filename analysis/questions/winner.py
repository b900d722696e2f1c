"""What the winner of a study is, in a sentence: which trial, its levels, and where it was chosen."""

from collections.abc import Mapping
from typing import Any

from analysis.questions.factors import NOT_APPLICABLE, effective, shown
from analysis.results.results import Results, Trial

WINNER = "winner"  # the arm that the others are compared with in a stage around the best of those before it


def winner(results: Results, stage: str) -> str | None:
    """`The winner is trial 10 of the search (depth 2; otherwise the baseline), chosen in stage confirm ...`.

    Of a stage around the winner; None where none of its trials has begun.
    """
    own = next((t for t in results.trials if (t.stage, t.arm) == (stage, WINNER)), None)
    if own is None:
        return None
    same = [t for t in results.trials if t.configuration == own.configuration and t.stage != stage]
    searched = next((t for t in same if t.stage == "search"), None)
    named = f"trial {searched.trial} of the search" if searched else "a configuration of the stages before"
    return f"The winner is {named} ({_levels(own, _baseline(results))}), {_chosen(same, results, stage)}."


def _chosen(same: list[Trial], results: Results, stage: str) -> str:
    """Where and by what: in the last stage before this one, by the mean over the seeds there."""
    stages = {trial.stage for trial in results.trials} - {stage}
    before = next((name for name in ("confirm", "search") if name in stages), None)
    there = [t for t in same if t.stage == before and t.arm != "null"]
    if not there:
        return "chosen in a stage that these results do not hold"
    if not all(trial.complete for trial in there):
        return f"taken because nothing was complete in stage {before}"
    seeds = sorted({seed for trial in there for seed in trial.seeds})
    which = f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    judges = len(results.metadata.chosen_by)
    by = f" on the {judges} subjects that choose" if judges else ""
    return f"chosen in stage {before} by its pooled UF1{by} ({'mean over ' * (len(seeds) > 1)}{which})"


def _levels(own: Trial, baseline: Mapping[str, Any]) -> str:
    """The levels in which it differs from the baseline."""
    levels = effective(own.factors)
    names = [name for name in {**levels, **baseline} if levels.get(name) != baseline.get(name)]
    told = [f"{name} {shown(levels.get(name, NOT_APPLICABLE))}" for name in names]
    return f"{', '.join(told)}; otherwise the baseline" if told else "the baseline's levels"


def _baseline(results: Results) -> Mapping[str, Any]:
    """The baseline's levels: of its arm, or of a search's first trial, which is always the baseline."""
    name = results.metadata.baseline
    own = [t for t in results.trials if t.arm is not None and t.arm == name and name != WINNER]
    own += [t for t in results.trials if t.stage == "search"]
    return effective(own[0].factors) if own else {}
