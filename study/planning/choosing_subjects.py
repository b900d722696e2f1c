"""Which subjects choose: a search judges by the first of them, so that the others can test what it chose.

Fresh seeds alone do not: most of a choice's luck is in the subjects that made it. The subjects that choose are those of
the first folds, in the one order in which every trial takes them; their clips stay in everybody's training.
"""

from math import ceil
from pathlib import Path
from typing import Any

from search_spaces.designs import follows
from search_spaces.errors import UserError
from search_spaces.protocols import protocol
from search_spaces.spec import ChosenBy, Fixed, Search, StudySpec
from study.data.clips import ClipNames, Clips
from study.ledger.snapshot import begun_as
from study.training.protocol import folds

SHARE = 0.4  # that chooses where a study does not say
_TESTERS = 8  # fewer leave a test without power: where it is a study's own to decide, all choose
_OF_EACH = 2  # subjects of every class, and of every dataset, on both sides


def settled(spec: StudySpec, clips: Clips, folder: Path) -> StudySpec:
    """The study with `chosen_by` decided where its file leaves it open; one that has begun keeps what it began with.

    Raises UserError where a share that was asked for leaves a class or a dataset too few subjects on one side.
    """
    searches = {stage: design for stage, design in spec.stages.items() if isinstance(design, Search)}
    begun = _begun(folder)
    said = [design.chosen_by for design in searches.values() if "chosen_by" in design.model_fields_set]
    usual = said[0] if said else _usual(spec, clips)
    stages: dict[Any, Any] = dict(spec.stages)
    if not protocol(spec.protocol).raced:
        searches = {stage: design.model_copy(update={"race": "none"}) for stage, design in searches.items()}
        stages |= searches
    for stage, design in searches.items():
        if "chosen_by" in design.model_fields_set:
            continue
        stages[stage] = design.model_copy(update={"chosen_by": begun.get(stage, usual)})
    made = spec.model_copy(update={"stages": stages})
    shares = {design.chosen_by for design in stages.values() if isinstance(design, Search)}
    if len(shares) > 1:
        raise UserError(f"stages.{', '.join(searches)}.chosen_by: expected: the same in all searches of a study")
    many_that_choose(made, clips)
    return made


def many_that_choose(spec: StudySpec, clips: Clips) -> int | None:
    """How many of the first folds choose; None where all do, or nothing is searched.

    Raises UserError with the counts where that leaves too few on one side.
    """
    for stage, design in spec.stages.items():
        if isinstance(design, Search) and design.chosen_by != "all":
            many, problem = _divided(clips, spec.protocol, design.chosen_by)
            if problem:
                raise UserError(
                    f"stages.{stage}.chosen_by: {design.chosen_by:g} {problem}; write all, or another share"
                )
            return many
    return None


def _usual(spec: StudySpec, clips: Clips) -> ChosenBy:
    """The share where a later stage tests what was chosen, and that leaves it enough subjects."""
    if not any(follows(design) for design in spec.stages.values() if isinstance(design, Fixed)):
        return "all"
    if not protocol(spec.protocol).raced:
        return "all"
    many, problem = _divided(clips, spec.protocol, SHARE)
    testers = {*clips.subjects.tolist()} - that_choose(clips, spec.protocol, many)
    return SHARE if not problem and len(testers) >= _TESTERS else "all"


def that_choose(clips: ClipNames, protocol_name: str, many: int | None) -> set[str]:
    """The subjects of the first so many folds; none where all choose."""
    judging = folds(clips, protocol_name, 0)[:many] if many else []
    return {subject for fold in judging for subject in clips.subjects[fold.test].tolist()}


def _divided(clips: Clips, name: str, share: float) -> tuple[int, str]:
    """How many of the first folds choose, and what is wrong with that.

    They are rounded up, and more of them until every class and every dataset has enough subjects among them.
    """
    if not protocol(name).raced:
        return 0, f"of the subjects cannot choose under {name}, whose folds are too few"
    everybody, kinds = {*clips.subjects.tolist()}, _kinds(clips)
    of_folds = [{*clips.subjects[fold.test].tolist()} for fold in folds(clips, name, 0)]
    many = ceil(round(share * len(of_folds), 9))
    choosing = set[str]().union(*of_folds[:many])
    while many < len(of_folds) and _scarce(choosing, kinds):
        choosing |= of_folds[many]
        many += 1
    if few := _scarce(everybody - choosing, kinds) or _scarce(choosing, kinds):
        sides = "; ".join(
            f"{name}: {len(own & choosing)} subjects that choose, {len(own - choosing)} that test"
            for name, own in few.items()
        )
        return many, f"of the subjects leaves fewer than {_OF_EACH} on a side of {sides}"
    return many, ""


def _kinds(clips: Clips) -> dict[str, set[str]]:
    """The subjects of every class and, where there are several, of every dataset."""
    datasets = clips.datasets()
    kinds = {f"class {name}": {*clips.subjects[clips.labels == i].tolist()} for i, name in enumerate(clips.classes)}
    several = sorted({*datasets.tolist()} - {""})
    return kinds | {f"dataset {name}": {*clips.subjects[datasets == name].tolist()} for name in several}


def _scarce(some: set[str], kinds: dict[str, set[str]]) -> dict[str, set[str]]:
    return {name: own for name, own in kinds.items() if len(own & some) < _OF_EACH}


def _begun(folder: Path) -> dict[str, ChosenBy]:
    """By whom the searches of a begun study choose; by all subjects where its ledger is older than the question."""
    stages = (begun_as(folder) or {"stages": {}})["stages"]
    return {stage: own.get("chosen_by", "all") for stage, own in stages.items() if own["design"] == "search"}
