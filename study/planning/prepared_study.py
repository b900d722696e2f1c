"""A study found fit to run: what its file says, its clips' index and its plan; and its clips, once they are decoded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from search_spaces.config import deciding
from search_spaces.errors import UserError
from search_spaces.network_inputs import master, streams
from search_spaces.spec import StudySpec
from study.data import readers
from study.data.cache import build, store
from study.data.clips import ClipIndex, Clips, assemble
from study.data.inspection import frame_rates, requirements
from study.data.video.cropping import region_of
from study.data.video.regions import MASTER
from study.ledger.changed_data import changed_data
from study.planning.capacity import unmatched, with_capacity_arms
from study.planning.choosing_subjects import many_that_choose, settled
from study.planning.cost_model import timed_in
from study.planning.plan import Plan, configurations, make_plan, unbuildable
from study.search.space import combinations, configuration
from study.system.hardware import here
from study.trials.network_sources import discovered, importable_places


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
    spec = with_capacity_arms(settled(spec, without_pixels, spec.storage / spec.name), len(index.classes))
    index = replace(index, notes=(*index.notes, *spec.notes, *unmatched(spec, len(index.classes))))
    on_gpu = bool(spec.resources.where(here().gpus > 0).gpu)
    costs = timed_in(spec.storage, spec.resources.threads, on_gpu)
    return Study(spec, file, index, make_plan(spec, index, costs, many_that_choose(spec, without_pixels)))


def _silent(part: str) -> build.Progress:
    return lambda done, total: None


def load_clips(study: Study, begin: Callable[[str], build.Progress] = _silent) -> Clips:
    """The dataset's clips, decoded into the storage's cache or found there. Raises UserError with every bad video.

    UserError too where a begun study had others; KeyboardInterrupt, which says what is kept, when the user stopped it.
    begin: called as each part begins (rendering, reading, decoding); what it returns is told how many clips are done.
    """
    if changed := changed_data(study.index, study.folder):
        raise UserError(changed)
    try:
        there = readers.materialise(study.index, study.spec.storage / "data", begin("rendering"))
        index = replace(there, table=study.index.table)  # without the clips that the plan leaves out
        begin("reading")(0, len(index.table))
        return store.load(index, masters(study), study.spec.storage / "cache", begin("decoding"))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(build.STOPPED) from None


def cached_clips(study: Study) -> Clips | None:
    """The dataset's clips where the storage's cache has them all; nothing is rendered or decoded."""
    folder = study.spec.storage / "cache"
    if not folder.is_dir() or not readers.is_there(study.index, study.spec.storage / "data"):
        return None
    there = readers.materialise(study.index, study.spec.storage / "data")
    return store.cached(replace(there, table=study.index.table), masters(study), folder)


def masters(study: Study) -> list[str]:
    """All pixels that a configuration of the study may see."""
    configs = [arm.config for arm, _ in study.plan.arms] + [
        configuration(study.spec.baseline_config(), levels)
        for search in study.plan.searches
        for levels in combinations(search.design, ("architecture", *deciding("pixels")))
    ]
    return sorted({master(config, region) for config in configs for region in streams(config)})


def own_modules(study: Study) -> tuple[str, ...]:
    """The folders of packages and files of modules of the user's own networks, all that importing them loads."""
    return tuple(importable_places(discovered(configurations(study.spec), len(study.index.classes))))


def pixels(study: Study) -> int:
    """Bytes of the study's clips once decoded."""
    frames = sum(row["offset"] - row["onset"] + 1 for row in study.index.table.to_pylist())
    return frames * sum(MASTER[region_of(master)] ** 2 for master in masters(study))
