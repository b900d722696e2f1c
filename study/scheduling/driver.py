"""The driver: trains what a prepared study lacks, and exports it. It holds the ledger's one writer."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from search_spaces.config import TrialConfig
from search_spaces.designs import BASELINE, WINNER, Arm, follows
from search_spaces.errors import UserError
from search_spaces.spec import Search
from study.data import readers
from study.data.cache import store
from study.data.clips import Clips
from study.data.inspection import frame_rates, requirements
from study.ledger.export import export
from study.ledger.fold_reuse import Library
from study.ledger.writer import Ledger, StudyRecord
from study.planning.choosing_subjects import that_choose
from study.planning.plan import configurations, fold_cost, problems_of
from study.planning.prepared_study import Study, masters
from study.scheduling import study_changes
from study.scheduling.follow_up_stages import Following, Planned, arms_that_follow
from study.scheduling.late_additions import additions
from study.scheduling.scheduler import UNWATCHED, FixedDesign, Scheduler, Source, Watch
from study.scheduling.serial_executor import Executor
from study.search.proposals import Proposals
from study.trials.fold_identity import TRAINING_VERSION
from study.trials.network_sources import discovered, keep
from study.trials.subject_order import Course
from study.trials.trial import trial_keys


@contextmanager
def begun(study: Study, clips: Clips, *, accept_code: bool = False, mixed: bool = False) -> Iterator[Ledger]:
    """The study's ledger, locked for this process. Raises UserError where the study is not the one that was begun."""
    with Ledger(study.folder, study.plan.choosers) as ledger:
        if problems := study_changes.problems(study.spec, ledger, _course(study, clips)):
            raise UserError([f"{study.folder}: {problem}; give the changed study a new name" for problem in problems])
        ledger.begin(_record(study, clips, ledger), accept_code=accept_code, mixed=mixed)
        keep(discovered(configurations(study.spec), len(clips.classes)), study.folder / "networks")
        yield ledger


def train(
    study: Study,
    clips: Clips,
    ledger: Ledger,
    executor: Executor,
    watch: Watch = UNWATCHED,
    *,
    retry_failed: bool = False,
) -> int:
    """Train the folds that the ledger does not have, and export; returns how many trials failed.

    Trials that failed in an earlier run stay so unless they are to be retried. Raises KeyboardInterrupt when the user
    stopped it.
    """
    library = Library(study.spec.storage, study.spec.name)
    sources = _sources(study, ledger, clips, watch)
    scheduler = Scheduler(sources, ledger, clips, watch, library, retry_failed=retry_failed)
    try:
        _tell_what_is_done(ledger, watch, clips)
        executor(scheduler, clips, study.spec.resources)
    except BaseException:
        with suppress(OSError, UserError):  # what ended the run is told, not that its disk is too full for an export
            ledger.end_attempts()
            export(study.folder)
        raise
    export(study.folder)
    return len(scheduler.failed)


def _record(study: Study, clips: Clips, ledger: Ledger) -> StudyRecord:
    own = discovered(configurations(study.spec), len(clips.classes))
    identity = study.spec.identity() | {
        "data": clips.digests | {name: asdict(sources) for name, sources in own.items()},
        "training_version": TRAINING_VERSION,
        "arithmetic": study.spec.resources.arithmetic(),
    }
    resolved = study.spec.model_dump(mode="json", exclude_none=True)
    return StudyRecord(study.spec.name, study.file, resolved, identity, _description(study, clips, ledger))


def _description(study: Study, clips: Clips, ledger: Ledger) -> dict[str, Any]:
    """What the report has to know of a study: results.Metadata, and each clip's place in its dataset."""
    rows = study.index.table.to_pylist()
    places = [[str(i), row["dataset"], row["subject"], row["clip_id"]] for i, row in zip(clips.ids, rows, strict=True)]
    planned: list[Planned] = [(arm, None) for arm, _ in study.plan.arms]
    course = _course(study, clips)
    for stage, design in study.spec.stages.items():
        planned += arms_that_follow(stage, study.spec, ledger, course) if follows(design) else []
    made_up = requirements.notes([arm.config for arm, _ in planned], study.index)
    of_videos = frame_rates.notes(study.index, store.known(study.spec.storage / "cache"))
    place = {name: (row["dataset"], row["subject"]) for name, row in zip(clips.subjects.tolist(), rows, strict=True)}
    return {
        "question": study.spec.question,
        "dataset": study.index.name,
        "dataset_digest": clips.data_digest(tuple(masters(study))),
        "protocol": study.spec.protocol,
        "classes": list(clips.classes),
        "objectives": next((s.design.objectives for s in study.plan.searches), ["uf1"]),
        "baseline": _reference(planned),
        "equivalence": study.spec.equivalence,
        "arms": [_as_arm(*arm) for arm in planned],
        "truth": readers.truth(study.index),
        "notes": [*study.index.notes, *made_up, *of_videos],
        "added": [*ledger.added(), *additions(ledger.resolved(), study.spec, study.folder)],
        "chosen_by": sorted(place[name] for name in that_choose(clips, study.spec.protocol, study.plan.choosers)),
        "choosers": study.plan.choosers or 0,
        "clips": places,
        "labels": clips.labels.tolist(),
    }


def _course(study: Study, clips: Clips) -> Course:
    """What a search's trials hold out."""
    return Course.of(clips, study.spec.protocol, study.plan.choosers)


def _reference(planned: list[Planned]) -> str | None:
    """The arm that others are compared with: the baseline, or the winner where a study has no arm of the baseline."""
    names = {arm.name for arm, _ in planned}
    return next((name for name in (BASELINE, WINNER) if name in names), None)


def _as_arm(arm: Arm, problem: str | None) -> dict[str, Any]:
    """As analysis.results.results.Arm."""
    return {"arm": arm.name, "stage": arm.stage, "changes": arm.changes, "impossible": problem}


def _sources(study: Study, ledger: Ledger, clips: Clips, watch: Watch) -> list[Source]:
    """Where each stage's trials come from, in the order of the stages."""

    def cost(config: TrialConfig) -> float:
        return fold_cost(config, len(clips), len(clips.classes))

    def began(arms: list[Planned]) -> None:
        ledger.add_arms([_as_arm(*arm) for arm in arms], _reference(arms))
        watch.knows(arms[0][0].stage, sum(len(arm.seeds) for arm, problem in arms if problem is None))

    sources: list[Source] = []
    course = _course(study, clips)
    for stage, design in study.spec.stages.items():
        if isinstance(design, Search):
            sources.append(Proposals(stage, study.spec, ledger, course, cost, problems_of))
        elif follows(design):
            sources.append(Following(stage, study.spec, ledger, course, cost, began))
            if known := ledger.proposals(stage):
                watch.knows(stage, len(known))
        else:
            sources.append(FixedDesign([arm for arm, _ in study.plan.arms if arm.stage == stage], ledger, cost))
    return sources


def _tell_what_is_done(ledger: Ledger, watch: Watch, clips: Clips) -> None:
    for trial in ledger.trials():
        outcome, done = ledger.outcome(trial.number), len(ledger.done(trial))
        if outcome and outcome.state == "complete":
            watch.saw(trial, "reused", done)
            watch.saw(trial, "complete", 0, outcome.value)
        elif outcome and outcome.state == "pruned":
            watch.saw(trial, "reused", done)
            watch.saw(trial, "pruned", len(trial_keys(trial, clips)) - done)
