"""The driver: runs a study from its file to its exported results. It holds the ledger's one writer."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from search_spaces.config import TrialConfig
from search_spaces.designs import BASELINE, WINNER, Arm, follows
from search_spaces.errors import UserError
from search_spaces.network_inputs import master, streams
from search_spaces.spec import Search, StudySpec
from study.cli.preparation_display import Preparing
from study.cli.progress_display import Display
from study.data import readers
from study.data.cache import build, store
from study.data.clips import ClipIndex, Clips, assemble
from study.data.inspection import frame_rates, requirements
from study.data.video.cropping import region_of
from study.data.video.regions import MASTER
from study.ledger.export import export
from study.ledger.fold_reuse import Library
from study.ledger.writer import Ledger, StudyRecord
from study.planning.choosing_subjects import many_that_choose, settled
from study.planning.cost_model import Costs, timed_in
from study.planning.plan import Plan, configurations, fold_cost, make_plan, problems_of, unbuildable
from study.planning.remaining_work import Outlook
from study.scheduling import study_changes
from study.scheduling.follow_up_stages import Following, Planned, arms_that_follow
from study.scheduling.late_additions import additions
from study.scheduling.scheduler import Agenda, Listed, Source
from study.scheduling.serial_executor import Executor
from study.search.proposals import Proposals
from study.search.space import combinations, configuration
from study.system.hardware import here
from study.trials.fold_identity import TRAINING_VERSION
from study.trials.network_sources import discovered, importable_places, keep
from study.trials.subject_order import Course


@dataclass(frozen=True)
class Study:
    """A study that was found fit to run: its specification, its file as given, its clips' index and its plan."""

    spec: StudySpec
    file: str
    index: ClipIndex
    plan: Plan

    @property
    def folder(self) -> Path:
        return self.spec.storage / self.spec.name


def prepare(spec: StudySpec, file: str) -> Study:
    """Read the dataset's index and make the plan. Writes nothing. Raises UserError with all that is wrong."""
    try:
        read = readers.read(spec.dataset.reader, spec.dataset.path, spec.dataset.options)
    except UserError as mistake:
        raise UserError([*unbuildable(spec), *mistake.problems]) from None
    named = replace(read, name=spec.dataset.name or read.name)
    timed = frame_rates.timed(configurations(spec), named, store.known(spec.storage / "cache"))
    index = requirements.without_short(configurations(spec), timed)
    without_pixels = assemble(index, {})
    spec = settled(spec, without_pixels, spec.storage / spec.name)
    on_gpu = bool(spec.resources.where(here().gpus > 0).gpu)
    costs = timed_in(spec.storage, spec.resources.threads, on_gpu)
    return Study(spec, file, index, make_plan(spec, index, costs, many_that_choose(spec, without_pixels)))


@contextmanager
def begun(study: Study, clips: Clips, *, accept_code: bool = False, mixed: bool = False) -> Iterator[Ledger]:
    """The study's ledger, locked for this process. Raises UserError where the study is not the one that was begun."""
    with Ledger(study.folder, study.plan.choosers) as ledger:
        if problems := study_changes.problems(study.spec, ledger, Course.of(clips, study.plan.choosers)):
            raise UserError([f"{study.folder}: {problem}; give the changed study a new name" for problem in problems])
        ledger.begin(_record(study, clips, ledger), accept_code=accept_code, mixed=mixed)
        keep(discovered(configurations(study.spec), len(clips.classes)), study.folder / "networks")
        yield ledger


def train(
    study: Study, clips: Clips, ledger: Ledger, executor: Executor, console: Console, *, retry_failed: bool = False
) -> int:
    """Train the folds that the ledger does not have, and export; returns how many trials failed.

    Trials that failed in an earlier run stay so unless they are to be retried. Raises KeyboardInterrupt when the user
    stopped it.
    """
    line = Display(console, Outlook(study.plan, Costs(expected=study.plan.costs.seconds)))
    library = Library(study.spec.storage, study.spec.name)
    sources = _sources(study, ledger, clips, line.outlook)
    agenda = Agenda(sources, ledger, clips, line.saw, library, retry_failed=retry_failed)
    try:
        with line:
            _show_what_is_done(ledger, line, len(Course.of(clips).subjects))
            executor(agenda, clips, study.spec.resources)
    except BaseException:
        with suppress(OSError, UserError):  # what ended the run is told, not that its disk is too full for an export
            ledger.end_attempts()
            export(study.folder)
        raise
    export(study.folder)
    return line.failed


def load_clips(study: Study, console: Console) -> Clips:
    """The dataset's clips, decoded into the storage's cache or found there. Raises UserError with every bad video.

    UserError too where a begun study had others; KeyboardInterrupt, which says what is kept, when the user stopped it.
    """
    if changed := study_changes.changed_data(study.index, study.folder):
        raise UserError(changed)
    try:
        with Preparing(console) as preparing:
            there = readers.materialise(study.index, study.spec.storage / "data", preparing.begin("rendering"))
            index = replace(there, table=study.index.table)  # without the clips that the plan leaves out
            preparing.begin("reading")(0, len(index.table))
            decoding = preparing.begin("decoding")
            return store.load(index, _masters(study), study.spec.storage / "cache", decoding)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(build.STOPPED) from None


def cached_clips(study: Study) -> Clips | None:
    """The dataset's clips where the storage's cache has them all; nothing is rendered or decoded."""
    folder = study.spec.storage / "cache"
    if not folder.is_dir() or not readers.is_there(study.index, study.spec.storage / "data"):
        return None
    there = readers.materialise(study.index, study.spec.storage / "data")
    return store.cached(replace(there, table=study.index.table), _masters(study), folder)


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
    course = Course.of(clips, study.plan.choosers)
    for stage, design in study.spec.stages.items():
        planned += arms_that_follow(stage, study.spec, ledger, course) if follows(design) else []
    made_up = requirements.notes([arm.config for arm, _ in planned], study.index)
    of_videos = frame_rates.notes(study.index, store.known(study.spec.storage / "cache"))
    place = {name: (row["dataset"], row["subject"]) for name, row in zip(clips.subjects.tolist(), rows, strict=True)}
    return {
        "question": study.spec.question,
        "dataset": study.index.name,
        "dataset_digest": clips.data_digest(tuple(_masters(study))),
        "protocol": study.spec.protocol,
        "classes": list(clips.classes),
        "objectives": next((s.design.objectives for s in study.plan.searches), ["uf1"]),
        "baseline": _reference(planned),
        "equivalence": study.spec.equivalence,
        "arms": [_as_arm(*arm) for arm in planned],
        "truth": readers.truth(study.index),
        "notes": [*study.index.notes, *made_up, *of_videos],
        "added": [*ledger.added(), *additions(ledger.resolved(), study.spec, study.folder)],
        "chosen_by": sorted(place[name] for name in course.subjects) if study.plan.choosers else [],
        "clips": places,
    }


def _reference(planned: list[Planned]) -> str | None:
    """The arm that others are compared with: the baseline, or the winner where a study has no arm of the baseline."""
    names = {arm.name for arm, _ in planned}
    return next((name for name in (BASELINE, WINNER) if name in names), None)


def _as_arm(arm: Arm, problem: str | None) -> dict[str, Any]:
    """As analysis.results.results.Arm."""
    return {"arm": arm.name, "stage": arm.stage, "changes": arm.changes, "impossible": problem}


def _sources(study: Study, ledger: Ledger, clips: Clips, outlook: Outlook) -> list[Source]:
    """Where each stage's trials come from, in the order of the stages."""

    def cost(config: TrialConfig) -> float:
        return fold_cost(config, len(clips), len(clips.classes))

    def began(arms: list[Planned]) -> None:
        ledger.add_arms([_as_arm(*arm) for arm in arms], _reference(arms))
        outlook.knows(arms[0][0].stage, sum(len(arm.seeds) for arm, problem in arms if problem is None))

    sources: list[Source] = []
    course = Course.of(clips, study.plan.choosers)
    for stage, design in study.spec.stages.items():
        if isinstance(design, Search):
            sources.append(Proposals(stage, study.spec, ledger, course, cost, problems_of))
        elif follows(design):
            sources.append(Following(stage, study.spec, ledger, course, cost, began))
            if known := ledger.proposals(stage):
                outlook.knows(stage, len(known))
        else:
            sources.append(Listed([arm for arm, _ in study.plan.arms if arm.stage == stage], ledger, cost))
    return sources


def _masters(study: Study) -> list[str]:
    """All pixels that a configuration of the study may see."""
    configs = [arm.config for arm, _ in study.plan.arms] + [
        configuration(study.spec.baseline_config(), levels)
        for search in study.plan.searches
        for levels in combinations(search.design, ("architecture", "regions", "landmarks", "alignment"))
    ]
    return sorted({master(config, region) for config in configs for region in streams(config)})


def own_modules(study: Study) -> tuple[str, ...]:
    """The folders of packages and files of modules of the user's own networks, all that importing them loads."""
    return tuple(importable_places(discovered(configurations(study.spec), len(study.index.classes))))


def pixels(study: Study) -> int:
    """Bytes of the study's clips once decoded."""
    frames = sum(row["offset"] - row["onset"] + 1 for row in study.index.table.to_pylist())
    return frames * sum(MASTER[region_of(master)] ** 2 for master in _masters(study))


def _show_what_is_done(ledger: Ledger, line: Display, subjects: int) -> None:
    for trial in ledger.trials():
        outcome, done = ledger.outcome(trial.number), len(ledger.done(trial))
        if outcome and outcome.state == "complete":
            line.saw(trial, "reused", done)
            line.saw(trial, "complete", 0, outcome.value)
        elif outcome and outcome.state == "pruned":
            line.saw(trial, "reused", done)
            line.saw(trial, "pruned", len(trial.seeds) * (trial.subjects or subjects) - done)
