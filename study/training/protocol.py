"""Folds: how a protocol divides the clips, as masks over all clips."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from search_spaces.digests import digest, stream
from search_spaces.protocols import LOSO, Protocol, protocol
from study.data.clips import ClipNames

Mask = npt.NDArray[np.bool_]

_INNER = " > inner fold "  # between the subject that is held out and the inner fold's number


@dataclass(frozen=True)
class Fold:
    """One seed, one set of training clips, one set of held-out clips: masks over all clips, bool [N]."""

    seed: int
    held_out: str  # under LOSO the subject
    train: Mask
    test: Mask


def folds(clips: ClipNames, name: str, seed: int) -> list[Fold]:
    """The folds of the protocol of this name, in the order in which every trial takes them.

    But for `holdout` no subject is on both sides, every clip is held out once, and all seeds have the same folds. Of
    `nested_loso` the outer folds come first, those of LOSO; then for each of them its inner folds, by which a
    configuration is chosen for it, and in which none of its clips has a part.
    """
    rule = protocol(name)
    if rule.kind == "holdout":
        return [Fold(seed, "split", ~(test := _split(clips, rule.number, seed)), test)]
    if rule.kind == "nested_loso":
        return loso(clips, seed) + [
            Fold(seed, held_out, ~(test | outer), test) for held_out, outer, test in _inner(clips, rule)
        ]
    return [Fold(seed, held_out, ~test, test) for held_out, test in _parts(clips, rule)]


def loso(clips: ClipNames, seed: int) -> list[Fold]:
    """Leave-one-subject-out: a fold a subject, in their shuffled order."""
    return folds(clips, LOSO, seed)


def of_outer_fold(held_out: str) -> str | None:
    """The subject for which a configuration is chosen by a fold of this name; None of a fold that is no inner one."""
    outer, mark, _ = held_out.partition(_INNER)
    return outer if mark else None


def parts(clips: ClipNames, name: str) -> list[str]:
    """What a protocol holds out, by name, in the order of its folds: subjects, folds of them, datasets, or a split."""
    return [fold.held_out for fold in folds(clips, name, 0)]


def shuffled(subjects: Iterable[str], index_digest: str) -> list[str]:
    """The subjects in the one shuffled order in which every trial takes them, which the dataset's digest fixes."""
    return sorted(set(subjects), key=lambda subject: digest([index_digest, subject]))


@lru_cache(maxsize=8)
def _parts(clips: ClipNames, rule: Protocol) -> tuple[tuple[str, Mask], ...]:
    """What is held out at a time by whole subjects: its name, and which clips."""
    order = shuffled(clips.subjects.tolist(), clips.digests["index"])
    if rule.kind == "subject_kfold":
        dealt = deal(clips, order, int(rule.number))
        groups = [(f"fold {i}", np.isin(clips.subjects, own)) for i, own in enumerate(dealt, 1)]
        return tuple((name, mask) for name, mask in groups if mask.any())
    of_clip = clips.datasets() if rule.kind == "leave_one_dataset_out" else clips.subjects
    names = sorted(set(clips.datasets().tolist())) if rule.kind == "leave_one_dataset_out" else order
    return tuple((name, of_clip == name) for name in names)


@lru_cache(maxsize=8)
def _inner(clips: ClipNames, rule: Protocol) -> tuple[tuple[str, Mask, Mask], ...]:
    """The inner folds of each subject: their name, the subject's clips, and those held out of the others'."""
    order = shuffled(clips.subjects.tolist(), clips.digests["index"])
    found = []
    for subject in order:
        outer = clips.subjects == subject
        dealt = deal(clips, [other for other in order if other != subject], int(rule.number))
        found += [
            (f"{subject}{_INNER}{i}", outer, np.isin(clips.subjects, own)) for i, own in enumerate(dealt, 1) if own
        ]
    return tuple(found)


def deal(clips: ClipNames, order: list[str], many: int) -> list[list[str]]:
    """The subjects dealt to so many folds, so that each has its share of every class, of the clips and of the subjects.

    Greedy: those with the most clips first (as many: in this order), each to the fold whose shares then are the most
    even: the sum over these kinds of its squared share grows least; of equal ones to the first. In whole numbers and
    fractions: neither a library's version nor a processor changes a fold.
    """
    counts = np.array([_kinds(clips, subject) for subject in order], dtype=np.int64)
    weights = [Fraction(1, int(total) ** 2) if total else Fraction(0) for total in counts.sum(0)]
    held = [[0] * counts.shape[1] for _ in range(many)]
    dealt: list[list[str]] = [[] for _ in range(many)]
    for i in sorted(range(len(order)), key=lambda i: -counts[i, -2]):
        own = counts[i].tolist()

        def growth(fold: int, own: list[int] = own) -> Fraction:
            pairs = zip(weights, held[fold], own, strict=True)
            return sum((weight * (2 * there + more) * more for weight, there, more in pairs if more), Fraction(0))

        best = min(range(many), key=growth)
        held[best] = [there + more for there, more in zip(held[best], own, strict=True)]
        dealt[best].append(order[i])
    return dealt


def _kinds(clips: ClipNames, subject: str) -> list[int]:
    """Of a subject: clips of each class, clips, and itself."""
    labels = clips.labels[clips.subjects == subject]
    return [*np.bincount(labels, minlength=len(clips.classes)).tolist(), len(labels), 1]


def _split(clips: ClipNames, share: float, seed: int) -> Mask:
    """Which clips a seed's random split holds out: this share of each class, at least one and never all of them."""
    test = np.zeros(len(clips), dtype=np.bool_)
    for rows in _by_class(clips):
        drawn = sorted(rows, key=lambda row: stream("holdout", clips.digests["index"], seed, str(clips.ids[row])))
        test[drawn[: min(len(rows) - 1, max(1, round(share * len(rows))))]] = True
    return test


def _by_class(clips: ClipNames) -> Iterator[list[int]]:
    yield from (np.flatnonzero(clips.labels == label).tolist() for label in np.unique(clips.labels))
