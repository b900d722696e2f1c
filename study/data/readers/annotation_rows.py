"""From an annotation's lines to frames and subjects: what cannot be read is a problem with its file and row."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from study.data.readers.annotation_files import Line, frame, zero_is_none
from study.data.readers.findings import Findings
from study.data.readers.options import Correction

Corrections = Mapping[str, Correction]  # by clip


class Frames(NamedTuple):
    """A clip's frames as its annotation numbers them; None where it gives none."""

    onset: int | None
    apex: int | None
    offset: int | None


def clip_lines(lines: Sequence[Line], is_clip: Callable[[Line], bool], like: str, found: Findings) -> list[Line]:
    """The lines that are clips. Text above and below them is not read (and counted); between them it is a problem."""
    clips = [number for number, line in enumerate(lines) if is_clip(line)]
    for number, line in enumerate(lines):
        if clips and clips[0] < number < clips[-1] and number not in clips:
            found.wrong("annotation", line.where, f"is no clip: {_words(line)}; valid: {like}")
        elif number not in clips:
            found.tally("rows of text around the table, not read", line.where)
    return [lines[number] for number in clips]


def frames_of(line: Line, clip: str, corrections: Corrections, found: Findings) -> Frames | None:
    """Onset, apex and offset of a line; an apex or offset of 0 is none. None, and a problem, where one is no number.

    Those that are missing or no number are taken from the study's corrections.
    """
    line = mended(line, clip, corrections)
    values: dict[str, int | None] = {}
    for column in Frames._fields:
        try:
            values[column] = frame(line.cells.get(column, ""))
        except ValueError:
            found.wrong("annotation", line.where, f"{clip}: {column} is {line[column]!r}; valid: a whole number")
    if len(values) < len(Frames._fields):
        return None
    return Frames(values["onset"], zero_is_none(values["apex"]), zero_is_none(values["offset"]))


def whole(line: Line, clip: str, corrections: Corrections, found: Findings) -> tuple[int, int | None, int] | None:
    """Onset, apex and offset of a clip that must have the first and the last; None, and a problem, where it has not."""
    frames = frames_of(line, clip, corrections, found)
    if frames is None:
        return None
    for column in ("onset", "offset"):
        if getattr(frames, column) is None:
            found.wrong("annotation", line.where, f"{clip}: {column} is {line[column]!r}; valid: a whole number")
    if frames.onset is None or frames.offset is None:
        return None
    return frames.onset, frames.apex, frames.offset


def mended(line: Line, clip: str, corrections: Corrections) -> Line:
    """The line, with the study's corrections in those cells that hold no frame."""
    correction = corrections.get(clip) or corrections.get(f"{clip}@{line.cells.get('onset')}")
    known = correction.model_dump(include=set(Frames._fields), exclude_none=True) if correction else {}
    cells = {name: str(value) for name, value in known.items() if not _is_frame(name, line.cells.get(name, ""))}
    return replace(line, cells={**line.cells, **cells})


def _is_frame(column: str, cell: str) -> bool:
    try:
        return (frame(cell) if column == "onset" else zero_is_none(frame(cell))) is not None
    except ValueError:
        return False


def subject_of(line: Line, found: Findings) -> int:
    """A line's subject by number; 0, and a problem, where it has none."""
    number = subject_number(line["subject"])
    if number is None:
        found.wrong("annotation", line.where, f"subject is {line['subject']!r}; valid: a number, or a name with one")
    return number or 0


def subject_number(text: str) -> int | None:
    """A subject's number however it is written: 1, '01', 'sub01', 's1'."""
    digits = re.search(r"\d+", text)
    return int(digits[0]) if digits and len(digits[0]) < 10 else None


def _words(line: Line) -> str:
    return ", ".join(repr(cell) for cell in line.cells.values() if cell) or "an empty row"
