"""What a terminal shows of a dataset that was checked."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from rich.console import Console

from study.cli.terminal import say
from study.cli.text_table import Column, Facts, TextTable
from study.data.inspection.dataset_check import Check, by_subject, facts
from study.data.readers.findings import Survey

COLUMNS = 20  # classes that a table has columns for
SHOWN = 200  # subjects, and problems, that are printed; the rest is counted, and in the JSON


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
        "folds (LOSO)": _first(
            [_folds(name, own, known["subjects"]) for name, own in known["subjects_of_class"].items()]
        ),
        "frames a second": _first([f"{fps} ({count} clips)" for fps, count in known["frame_rates"].items()]),
        "frames a clip": f"{lengths['least']} to {lengths['most']}, median {lengths['median']:g}",
        "missing frames": known["missing_frames"],
        "extra frames": known["extra_frames"],
        "left out": len(known["left_out"]),
        "subjects of one class": f"{len(alone)}{': ' if alone else ''}{_first(alone)}",
    }
    return Facts(f"{known['dataset']} ({known['reader']})", {name: str(value) for name, value in told.items()})


def _folds(name: str, own: int, subjects: int) -> str:
    """Of a class that so many of the subjects show, in how many folds of LOSO it is trained and tested."""
    return f"{name} trained in {subjects - (own == 1)} and tested in {own}"


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
