"""Going on with a study: what was begun under its name must be what its file now says, or less."""

from collections.abc import Iterator

from search_spaces.designs import arms, follows
from search_spaces.spec import Fixed, Search, StudySpec
from study.ledger.writer import Ledger
from study.scheduling.follow_up_stages import arms_that_follow
from study.trials.subject_order import Course


def problems(spec: StudySpec, ledger: Ledger, course: Course) -> list[str]:
    """What the file takes away or changes of the arms, seeds and proposals that the ledger has; empty when nothing."""
    begun = {trial.stage for trial in ledger.trials()} - {str(stage) for stage in spec.stages}
    gone = [f"stages.{stage} has begun and is now gone" for stage in sorted(begun)]
    return gone + [problem for stage in spec.stages for problem in _of_stage(spec, stage, ledger, course)]


def _of_stage(spec: StudySpec, stage: str, ledger: Ledger, course: Course) -> Iterator[str]:
    design = spec.design(stage)
    if isinstance(design, Search):
        yield from _of_search(spec, stage, design, ledger)
    if isinstance(design, Fixed):
        known = [arm for arm, _ in arms_that_follow(stage, spec, ledger, course)] if follows(design) else arms(spec)
        planned = {(arm.name, arm.config.key(), seed) for arm in known for seed in arm.seeds if arm.stage == stage}
        for trial in [proposal.trial for proposal in ledger.proposals(stage)]:
            if gone := {(trial.arm, trial.config.key(), seed) for seed in trial.seeds} - planned:
                levels = ", ".join(f"{name}={level}" for name, level in trial.config.explicit().items())
                seed = gone.pop()[2]
                yield f"{stage}, arm {trial.arm} with seed {seed} ({levels}) has begun and is now gone or changed"


def _of_search(spec: StudySpec, stage: str, design: Search, ledger: Ledger) -> Iterator[str]:
    before = ledger.resolved() or {"stages": {}}
    asked = before["stages"].get(stage, {}).get("proposals")
    if asked is None:  # a search that is new; the study's identity knows no such stage and says so
        return
    names: list[str] = list(spec.stages)
    later = names[names.index(stage) + 1 :]
    if design.proposals < len(ledger.proposals(stage)):
        yield f"stages.{stage}.proposals: {design.proposals} are fewer than the ledger has"
    elif design.proposals != asked and any(ledger.proposals(name) for name in later):
        yield f"stages.{stage}.proposals: was {asked}, and a later stage has begun since"
