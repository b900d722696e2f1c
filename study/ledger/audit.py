"""Whether a ledger is whole, and whether its folds are those of its study: each key is computed again."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from study.data.clips import ClipNames
from study.ledger.damage import damage
from study.ledger.schema import read_only
from study.ledger.snapshot import FoldRow, Snapshot, snapshot
from study.training.protocol import of_outer_fold
from study.trials.fold_identity import SAME_CODE, TRAINING_VERSION
from study.trials.network_sources import source_name
from study.trials.trial import Trial, trial_keys

_SHOWN = 20  # lines of one kind


@dataclass(frozen=True)
class Audit:
    """What is wrong with a ledger; and what is marked in it, which is right and should be known."""

    folds: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def audit(folder: Path) -> Audit:
    """Raises UserError where no ledger is, or one of another version."""
    read_only(folder).close()
    if broken := damage(folder):
        return Audit(0, tuple(_limited(broken)), ())
    study = snapshot(folder)
    if study is None:
        return Audit(0, ("it holds no study: its run never began",), ())
    problems = _limited([*_of_keys(study), *_of_clips(study.clips, study.folds)])
    return Audit(len(study.folds), tuple(problems), tuple(_notes(study)))


def _of_keys(study: Snapshot) -> Iterator[str]:
    """Folds that a complete trial lacks, and folds whose key is not that of the study's data, trial and version."""
    if study.identity["training_version"] != TRAINING_VERSION:
        return
    known: set[str] = set()
    for row in study.trials:
        if not _can_be_checked(row.trial, study):
            known.update(fold.key for fold in study.folds if fold.configuration == row.key)
            continue
        keys = trial_keys(row.trial, study.clips)
        known.update(keys)
        own = {fold.key for fold in study.folds_of(row)}
        if row.state == "complete" and (lost := len(set(keys) - own)):
            yield f"{_name(row.trial)}: is complete and lacks {lost} of {len(keys)} folds"
    for fold in study.folds:
        if fold.key not in known:
            yield (
                f"seed {fold.seed}, held out {fold.held_out}, configuration {fold.configuration[:12]}: was "
                "made from other data or another source of its network, by another TRAINING_VERSION, or for no trial "
                "of the study"
            )


def _can_be_checked(trial: Trial, study: Snapshot) -> bool:
    """Whether the ledger says what the trial's network is made of, where that is the user's own."""
    name = source_name(trial.config, len(study.classes))
    return not trial.config.own_network or name in study.clips.digests


def _of_clips(clips: ClipNames, folds: Sequence[FoldRow]) -> Iterator[str]:
    """Clips of a fold that are not predicted, predicted twice, or unknown; truths that differ."""
    known, truth = set(clips.ids.tolist()), dict[str, str]()
    own: dict[str, set[str]] = defaultdict(set)
    for clip, subject in zip(clips.ids.tolist(), clips.subjects.tolist(), strict=True):
        own[subject].add(clip)
    seen: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for fold in folds:
        rows = json.loads(fold.predictions)
        for clip in sorted(own[fold.held_out] - {row[0] for row in rows}):
            yield f"seed {fold.seed}, held out {fold.held_out}: clip {clip} has no prediction"
        for clip, y_true, *_ in rows:
            if of_outer_fold(fold.held_out) is None:
                seen[fold.configuration, fold.seed][clip] += 1
            if truth.setdefault(clip, y_true) != y_true:
                yield f"clip {clip}: its y_true is {truth[clip]} and, in seed {fold.seed}, {y_true}"
            if clip not in known:
                yield f"clip {clip}: is none of the study's"
    for (configuration, seed), counts in seen.items():
        for clip in (clip for clip, times in counts.items() if times > 1):
            yield f"seed {seed}, configuration {configuration[:12]}: clip {clip} is predicted twice"


def _notes(study: Snapshot) -> Iterator[str]:
    version = study.identity["training_version"]
    if version != TRAINING_VERSION:
        yield f"TRAINING_VERSION {version} made it and this losolab has {TRAINING_VERSION}: no key could be checked"
    elif unknown := sum(not _can_be_checked(row.trial, study) for row in study.trials):
        yield f"{unknown} trials of the user's own networks were begun by an older losolab: their keys were not checked"
    for origin, number in sorted(Counter(fold.origin for fold in study.folds if fold.origin).items()):
        yield f"{number} folds were copied from the study {origin}"
    yield from marks(study.folds)


def marks(folds: Sequence[FoldRow]) -> Iterator[str]:
    """What --mixed and --accept-code let stand together."""
    machines = Counter(str(fold.arithmetic.machine()) for fold in folds)
    if len(machines) > 1:
        each = "; ".join(f"{number} folds by {machine}" for machine, number in machines.most_common())
        yield f"Folds of several arithmetics stand together, which --mixed allowed: {each}."
    codes = Counter(fold.provenance["code"] for fold in folds)
    if len(codes) > 1 and not codes.keys() <= SAME_CODE:
        each = ", ".join(f"{number} folds by {code[:12]}" for code, number in codes.most_common())
        yield f"The training code changed while this study ran, which --accept-code allowed: {each}."


def _name(trial: Trial) -> str:
    return f"trial {trial.number} ({trial.arm or trial.stage})"


def _limited(lines: list[str]) -> list[str]:
    lines = list(dict.fromkeys(lines))
    return lines[:_SHOWN] + [f"... and {len(lines) - _SHOWN} more"] * (len(lines) > _SHOWN)
