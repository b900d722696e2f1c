"""What a reader found in a dataset: clips fit for use, everything wrong with a place, everything left out and why."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from search_spaces.files import escaped, is_utf8, not_utf8
from search_spaces.spelling import spelling, spelt_twice
from study.data.clips import ClipIndex, table_of

Row = dict[str, Any]  # a clip, by the columns of CLIP_INDEX

NOT_UTF8 = "its name is not in UTF-8; rename it, GBK of a Chinese Windows by: convmv -r --notest -f GBK -t UTF-8 FOLDER"
SHOWN = 8  # clips that a note names; the rest is counted
MOST = 20  # problems that refuse a dataset one by one; the rest is counted


@dataclass(frozen=True)
class Problem:
    """Something wrong. `where` is a file and row, a folder, or an option; frames: how many are missing."""

    kind: str
    where: str
    text: str
    frames: int = 0

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not used, and the reason. `detail` belongs to this clip alone; frames: how many are missing."""

    clip: str
    where: str
    reason: str
    detail: str = ""
    frames: int = 0


@dataclass
class Findings:
    """What is noted down while a dataset is read."""

    problems: list[Problem] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    tallies: dict[str, list[str]] = field(default_factory=dict)  # what holds -> clips that it holds for
    widened: int = 0  # clips

    def wrong(self, kind: str, where: str, text: str, frames: int = 0) -> None:
        self.problems.append(Problem(kind, where, text, frames))

    def leave_out(self, clip: str, where: str, reason: str, detail: str = "", frames: int = 0) -> None:
        """Leave a clip out, and count it among those with the same reason."""
        self.left_out.append(LeftOut(clip, where, reason, detail, frames))
        self.tally(f"left out, {reason}", clip)

    def tally(self, what: str, clip: str) -> None:
        """Count a clip for which something holds that the user should know."""
        self.tallies.setdefault(what, []).append(clip)

    def together(self, where: str, rows: Sequence[Row], classes: Sequence[str]) -> None:
        """Look at the clips together."""
        for text in together_problems(rows, classes):
            self.wrong("dataset", where, text)

    def notes(self) -> tuple[str, ...]:
        """The remarks, then the tallies with their numbers and the names of the first clips."""
        return (*self.remarks, *(_counted(what, clips) for what, clips in self.tallies.items()))


def _counted(what: str, clips: Sequence[str]) -> str:
    return f"{what}: {len(clips)} ({', '.join(clips[:SHOWN])}{', ...' if len(clips) > SHOWN else ''})"


@dataclass(frozen=True)
class Survey:
    """A dataset as a reader found it. `rows` are fit for use, sorted by (dataset, subject, clip_id)."""

    name: str
    root: Path
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    truth: dict[str, object] | None = None
    widened: int = 0  # clips, by the option window


def survey_of(name: str, root: Path, classes: Sequence[str], rows: Sequence[Row], found: Findings) -> Survey:
    """What was found, the clips in the order of an index; a name that is not in UTF-8 is a problem."""
    everywhere = not_utf8(root.absolute())
    bad = {row["source"] for row in rows if everywhere or not is_utf8(row["source"])}
    for path in sorted(filter(None, {everywhere or not_utf8(root.absolute() / source) for source in bad})):
        found.wrong("name", escaped(str(path)), NOT_UTF8)
    rows = [row for row in rows if row["source"] not in bad]
    ordered = sorted(rows, key=lambda row: tuple(str(row[name]) for name in ("dataset", "subject", "clip_id")))
    problems = tuple(replace(one, where=escaped(one.where), text=escaped(one.text)) for one in found.problems)
    left_out = tuple(
        replace(one, clip=escaped(one.clip), where=escaped(one.where), detail=escaped(one.detail))
        for one in found.left_out
    )
    notes = tuple(map(escaped, (*found.notes(), *classes_of_one_subject(rows, classes))))
    return Survey(name, root, tuple(classes), tuple(ordered), problems, left_out, notes, widened=found.widened)


def index_of(survey: Survey) -> ClipIndex:
    """The survey's clips as an index. Raises UserError with its problems."""
    if survey.problems:
        raise UserError(limited([str(problem) for problem in survey.problems]))
    table = table_of(survey.rows)
    return ClipIndex(table, survey.root, survey.name, survey.classes, survey.truth, survey.notes, survey.widened)


def limited(problems: Sequence[str]) -> list[str]:
    """The first problems, and how many more there are."""
    more = len(problems) - MOST
    return [*problems[:MOST], *([f"... and {more} more; losolab data check --json lists them all"] if more > 0 else [])]


def together_problems(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Iterator[str]:
    """What is wrong with clips taken together: names twice or spelt two ways, too few subjects or classes."""
    for (dataset, clip_id), times in Counter((row["dataset"], row["clip_id"]) for row in rows).items():
        if times > 1 and clip_id is not None:
            yield f"clip_id {clip_id} stands {times} times in dataset {dataset}; each clip needs a name of its own"
    subjects = {(row["dataset"], row["subject"]) for row in rows if row["subject"] is not None}
    yield from spelt_two_ways(subjects, classes)
    if len(subjects) < 2:
        yield f"there is {len(subjects)} subject; leave-one-subject-out needs at least 2"
    if len(classes) < 2:
        yield f"there is {len(classes)} class ({', '.join(classes)}); at least 2 are needed"
    labels = {row["label"] for row in rows}
    for name in classes:
        if name not in labels:
            yield f"class {name} has no clips"


def spelt_two_ways(subjects: set[tuple[str, str]], classes: Sequence[str]) -> Iterator[str]:
    """Datasets, subjects (dataset, subject) within one, and classes that a person would take for one; never merged."""
    once = "write it one way"
    for names in alike(dataset for dataset, _ in subjects):
        yield f"one dataset is spelt {_told(names)}; its subjects would be held out as two datasets': {once}"
    by_dataset: dict[str, list[str]] = defaultdict(list)
    for dataset, subject in sorted(subjects):
        by_dataset[dataset].append(subject)
    joined = Counter(f"{dataset}/{subject}" for dataset, subject in subjects)  # how several datasets' are held out
    for name in (name for name, times in joined.items() if times > 1):
        yield f"{name} is a subject of two datasets, by where the / is; give the subjects names without /"
    for dataset, own in by_dataset.items():
        where = f" in dataset {dataset}" if len(by_dataset) > 1 else ""
        for names in alike(own):
            held_out = "held out as two, it would be trained and tested on"
            yield f"one subject is spelt {_told(names)}{where}; {held_out}: {once}"
    for names in spelt_twice(classes):
        yield f"one class is spelt {_told(names)}; a network would be taught to tell them apart: {once}"


def alike(names: Iterable[str]) -> list[list[str]]:
    """Names that differ only in spelling, or in the signs between their words: s1 and S-01, but not 1-1 and 11."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        spelt = spelling(name)
        words = "".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in spelt)
        groups[tuple(re.findall(r"\d+|[^\d\s]+", words)) or (spelt,)].append(name)
    return [names for names in groups.values() if len(names) > 1]


def _told(names: Sequence[str]) -> str:
    """Names, and their code points where they may look alike on a screen."""
    return " and ".join(name if name.isascii() else f"{name} ({name!a})" for name in names)


def classes_of_one_subject(rows: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> list[str]:
    """A note on classes that one subject alone shows; none where there are none."""
    showing: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        showing[row["label"]].add((row["dataset"], row["subject"]))
    alone = [name for name in classes if len(showing[name]) == 1]
    if not alone:
        return []
    told = [f"{name} (subject {subject} of {dataset})" for name in alone[:SHOWN] for dataset, subject in showing[name]]
    told += [f"{len(alone) - SHOWN} more"] if len(alone) > SHOWN else []
    return [
        f"classes that one subject alone shows: {', '.join(told)}. When the subject is held out, nothing of the class "
        f"is left to train on: its F1 is 0, and UF1 at most {1 - len(alone) / len(classes):.2f}."
    ]
