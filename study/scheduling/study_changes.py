"""Going on with a study: what was begun under its name must be what its file now says, or less."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from search_spaces.designs import arms, follows
from search_spaces.spec import Fixed, Search, StudySpec
from study.data.clips import ClipIndex, assemble
from study.ledger.damage import damage
from study.ledger.schema import has_begun, read_only
from study.ledger.writer import Ledger
from study.scheduling.follow_up_stages import arms_that_follow
from study.trials.subject_order import Course


def problems(spec: StudySpec, ledger: Ledger, course: Course) -> list[str]:
    """What the file takes away or changes of the arms, seeds and proposals that the ledger has; empty when nothing."""
    begun = {trial.stage for trial in ledger.trials()} - {str(stage) for stage in spec.stages}
    gone = [f"stages.{stage} has begun and is now gone" for stage in sorted(begun)]
    return gone + [problem for stage in spec.stages for problem in _of_stage(spec, stage, ledger, course)]


def _of_stage(spec: StudySpec, stage: str, ledger: Ledger, course: Course) -> Iterator[str]:
    design = dict(spec.stages)[stage]  # type: ignore[index]
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


def changed_data(index: ClipIndex, folder: Path) -> list[str]:
    """What is different from the data with which a study began, in words: before anything is decoded for it.

    Or what is damaged in its ledger, which then cannot tell.
    """
    if not has_begun(folder):
        return []
    if broken := damage(folder, orphans=False):
        return broken
    with closing(read_only(folder)) as db:
        study = db.execute("select identity, description from study").fetchone()
        if study is None or json.loads(study["identity"])["data"].get("index") == assemble(index, {}).digests["index"]:
            return []
        folds = db.execute("select predictions from fold group by held_out").fetchall()
    description = json.loads(study["description"])
    names = {name: tuple(place) for name, *place in description["clips"]}
    labels = {names[clip]: true for own in folds for clip, true, *_ in json.loads(own["predictions"])}
    there = {(row["dataset"], row["subject"], row["clip_id"]): row["label"] for row in index.table.to_pylist()}
    gone, new = sorted(set(names.values()) - set(there)), sorted(set(there) - set(names.values()))
    other = [f"{_name(p)} was {old} and is {there[p]}" for p, old in sorted(labels.items()) if there.get(p, old) != old]
    what = [f"{len(gone)} clips are gone ({_name(gone[0])})"] if gone else []
    what += [f"{len(new)} clips are new ({_name(new[0])})"] if new else []
    what += [f"labels of {len(other)} clips are others ({other[0]})"] if other else []
    what = what or ["what is said of its clips (onset, apex, offset, frame rate, classes or files)"]
    remedy = "put the data back as it was, or give the changed study a new name"
    return [f"{folder}: the data has changed since this study began: {'; '.join(what)}; {remedy}"]


def _name(place: tuple[str, ...]) -> str:
    dataset, subject, clip = place
    return f"{dataset} {subject} {clip}".strip()
