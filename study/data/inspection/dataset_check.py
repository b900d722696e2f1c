"""`losolab check`: what a dataset holds, everything wrong with it, and what is left out; as tables and as JSON."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from search_spaces.errors import UserError
from search_spaces.yaml_file import parse
from study.cli.terminal import say
from study.cli.text_table import Column, Facts, TextTable
from study.data import readers
from study.data.inspection import file_checks
from study.data.readers.findings import Finding, Survey

COLUMNS = 20  # classes that a table has columns for
SHOWN = 200  # subjects, and problems, that are printed; the rest is counted, and in the JSON
PLANNED = "synthetic"  # its videos are rendered when a study runs: there are no files to look at


@dataclass(frozen=True)
class Check:
    """A dataset as it was found, and what its files are found to hold."""

    reader: str
    path: Path | None
    survey: Survey
    problems: tuple[Finding, ...]
    extra_frames: int  # of the clips' sources, in no clip

    @property
    def missing_frames(self) -> int:
        """Annotated frames that are not on disk."""
        return sum(problem.frames for problem in self.problems) + sum(out.frames for out in self.survey.left_out)


def check(
    reader: str,
    path: Path | None,
    options: Mapping[str, Any],
    *,
    decode: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Check:
    """Read a dataset and look at its files. decode: decode every clip, too, and videos by two decoders.

    Nothing is raised: what cannot be read is a problem among the others. progress: sources decoded, sources in all.
    """
    survey = readers.survey(reader, path, options)
    if reader == PLANNED:
        return Check(reader, path, survey, survey.problems, 0)
    rows, root = survey.rows, survey.root
    survey = replace(survey, notes=(*survey.notes, *file_checks.notes(rows, root)))
    frames, problems = file_checks.source_frames(rows, root)
    problems += [*file_checks.empty_files(rows, root), *file_checks.duplicates(rows, root)]
    sources = file_checks.by_source(rows)
    for number, (source, clips) in enumerate(sources.items() if decode else (), 1):
        problems += file_checks.decoded(source, clips, root)
        if progress:
            progress(number, len(sources))
    told = tuple(dict.fromkeys((*survey.problems, *problems)))
    return Check(reader, path, survey, told, file_checks.extra_frames(rows, frames))


def options_of(labels: str | None, given: Sequence[str]) -> dict[str, Any]:
    """A reader's options as the command line gives them: NAME=VALUE, the value as in a study file. Raises UserError."""
    parts = [text.partition("=") for text in given]
    if wrong := [name for name, equals, _ in parts if not equals]:
        raise UserError([f"--option {name}: is not NAME=VALUE, e.g. window=32" for name in wrong])
    options = {name.strip(): parse(value, f"--option {name.strip()}") for name, _, value in parts}
    return options | ({"labels": labels} if labels else {})


def as_json(found: Check) -> str:
    """Everything that was found, as JSON."""
    return json.dumps(facts(found), indent=2, ensure_ascii=False)


def facts(found: Check) -> dict[str, Any]:
    """Everything that was found, as plain values."""
    survey = found.survey
    labels = Counter(row["label"] for row in survey.rows)
    return {
        "reader": found.reader,
        "path": None if found.path is None else str(found.path),
        "dataset": survey.name,
        "clips": len(survey.rows),
        "subjects": len(by_subject(survey)),
        "classes": {name: labels[name] for name in survey.classes},
        "frame_rates": {f"{fps:g}" if fps else "unknown": times for fps, times in sorted(frame_rates(survey).items())},
        "frames_a_clip": frames_a_clip(survey),
        "clips_a_subject": {name: sum(labels.values()) for name, labels in by_subject(survey).items()},
        "single_class_subjects": single_class_subjects(survey),
        "missing_frames": found.missing_frames,
        "extra_frames": found.extra_frames,
        "problems": [asdict(problem) for problem in found.problems],
        "left_out": [asdict(out) for out in survey.left_out],
        "notes": list(survey.notes),
    }


def by_subject(survey: Survey) -> dict[str, Counter[str]]:
    """Each subject's clips by class; subjects carry the dataset's name where there are several."""
    several = len({row["dataset"] for row in survey.rows}) > 1
    subjects: dict[str, Counter[str]] = defaultdict(Counter)
    for row in survey.rows:
        subjects[f"{row['dataset']}/{row['subject']}" if several else row["subject"]][row["label"]] += 1
    return dict(subjects)


def single_class_subjects(survey: Survey) -> list[str]:
    """Subjects all of whose clips are of one class."""
    return [name for name, labels in by_subject(survey).items() if len(labels) == 1]


def frame_rates(survey: Survey) -> Counter[float]:
    """Clips by frames a second, 0 where unknown."""
    return Counter(row["fps"] or 0.0 for row in survey.rows)


def frames_a_clip(survey: Survey) -> dict[str, float]:
    """The least, middle and most frames from onset to offset; empty without clips."""
    lengths = [row["offset"] - row["onset"] + 1 for row in survey.rows]
    return {"least": min(lengths), "median": median(lengths), "most": max(lengths)} if lengths else {}


def show(found: Check, console: Console) -> None:
    """Print it: the dataset, its subjects, what is left out and noted, and every problem."""
    if found.survey.rows:
        console.print(_facts(facts(found)), _subjects(found.survey), sep="\n")
    for note in found.survey.notes:
        say(console, note, "!", "yellow")
    for problem in found.problems[:SHOWN]:
        say(console, str(problem), f"{problem.kind}:", "red", wrap=False)
    if (more := len(found.problems) - SHOWN) > 0:
        say(console, f"... and {more} more; --json lists them all")
    count = len(found.problems)
    say(console, "", f"{count} problem{'s' * (count > 1)}" if count else "no problems", "red" if count else "green")


def _facts(known: Mapping[str, Any]) -> Facts:
    lengths = known["frames_a_clip"]
    alone = known["single_class_subjects"]
    told = {
        "clips": known["clips"],
        "subjects": known["subjects"],
        "classes": _first([f"{name} {count}" for name, count in known["classes"].items()]),
        "frames a second": _first([f"{fps} ({count} clips)" for fps, count in known["frame_rates"].items()]),
        "frames a clip": f"{lengths['least']} to {lengths['most']}, median {lengths['median']:g}",
        "missing frames": known["missing_frames"],
        "extra frames": known["extra_frames"],
        "left out": len(known["left_out"]),
        "subjects of one class": f"{len(alone)}{': ' if alone else ''}{_first(alone)}",
    }
    return Facts(f"{known['dataset']} ({known['reader']})", {name: str(value) for name, value in told.items()})


def _first(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - COLUMNS
    return ", ".join([*names[:COLUMNS], *([f"and {more} more"] if more > 0 else [])])


def _subjects(survey: Survey) -> TextTable:
    classes = survey.classes if len(survey.classes) <= COLUMNS else ()
    columns = [Column("subject"), *(Column(name, numeric=True) for name in ("clips", *classes))]
    subjects = by_subject(survey)
    rows = [
        (name, str(of.total()), *(str(of[label]) for label in classes)) for name, of in islice(subjects.items(), SHOWN)
    ]
    if (more := len(subjects) - SHOWN) > 0:
        rest = islice(subjects.values(), SHOWN, None)
        rows.append((f"... and {more} more", str(sum(of.total() for of in rest)), *([""] * len(classes))))
    return TextTable("", columns, rows)
