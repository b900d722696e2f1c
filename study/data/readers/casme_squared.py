"""Reader of CAS(ME)^2: 57 micro- and 300 macro-expressions at 30 frames a second (Qu et al. 2018, TAFFC 9(4))."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from search_spaces.errors import UserError
from study.data.readers import annotation_files, folders, options
from study.data.readers.annotated_clips import Sample, survey_samples
from study.data.readers.annotation_files import Line, cell_at
from study.data.readers.annotation_rows import Frames, clip_lines, frames_of
from study.data.readers.findings import Findings, LeftOut, Survey
from study.data.readers.folders import Home, Layout, clip_sources, dataset_folder, home, source_name, subject_folders
from study.data.readers.label_maps import label_map

NAME = "casme_squared"
FPS = 30.0
LAYOUT = Layout(
    subject=r"s?\d{1,2}",
    kinds={
        "cropped": r"/[^/]*crop[^/]*$",
        "selectedpic": r"/selectedpic$",
        "rawpic": r"/rawpic$",
        "rawvideo": r"/rawvideo$",
    },
    example="cropped/15/anger1_1/img557.jpg, selectedpic/s15/anger1_1/img557.jpg, "
    "rawpic/s15/15_0101disgustingteeth/img_00001.jpg or rawvideo/s15/15_0101disgustingteeth.avi",
)
# The sheet has no header.
COLUMNS = ("participant", "filename", "onset", "apex", "offset", "units", "valence", "type", "reported")
# The subject of participants 1 to 22 (the sheet `naming rule1`).
SUBJECTS = (15, 16, *range(19, 28), *range(29, 39), 40)
# The film that a clip's name begins with, by the code in its video's name (the sheet `naming rule2`).
FILMS = {
    "disgust1": "0101",
    "disgust2": "0102",
    "anger1": "0401",
    "anger2": "0402",
    "happy1": "0502",
    "happy2": "0503",
    "happy3": "0505",
    "happy4": "0507",
    "happy5": "0508",
}
WHOLE_VIDEOS = ("rawpic", "rawvideo")  # a source is a film's video, in which several expressions lie
LIKE = "a participant and a name like anger1_1"
CLIP = re.compile(r"((anger|disgust|happy)\d)_\d+")


class Options(options.Options):
    """Options of CAS(ME)^2.

    missing_offset: an expression without one ends at its apex, as long after its apex as its onset lies before it
    (`mirror`), or is left out.
    """

    labels: str | dict[str, str] = "elicited3"
    expressions: Literal["micro", "macro", "all"] = "micro"
    missing_offset: Literal["apex", "mirror", "leave_out"] = "apex"


def survey(path: Path | None, given: Mapping[str, Any]) -> Survey:
    """CAS(ME)^2 below a folder: its sheet, and images or videos of one kind. Raises UserError."""
    chosen = options.parsed(Options, given, NAME)
    labels = label_map(chosen.labels, chosen.labels_from, NAME)
    root, found = dataset_folder(path, NAME), Findings()
    file = annotation_files.find(root, r"code_?final", chosen.annotation, "CAS(ME)^2code_final")
    listed = clip_lines(sheet(file), is_clip, LIKE, found)
    lines = of_expressions(listed, chosen.expressions, found)
    images = home(root, LAYOUT, chosen.images, found)
    sources = by_film(images, found) if images.kind in WHOLE_VIDEOS else by_clip(images, found)
    samples = [sample_of(line, sources, images.kind in WHOLE_VIDEOS, chosen, found) for line in lines]
    without_row(sources, listed, images.kind in WHOLE_VIDEOS, found)
    return survey_samples(NAME, root, [one for one in samples if one], labels, chosen, found)


def sheet(file: Path) -> list[Line]:
    """The sheet's rows; it has no header."""
    rows = annotation_files.raw_rows(file)
    if file.suffix.lower() == ".csv":
        annotation_files.check_width(rows, len(COLUMNS))
    return [Line(where, {name: cell_at(row, at) for at, name in enumerate(COLUMNS)}) for where, row in rows]


def is_clip(line: Line) -> bool:
    """Whether a row is an expression's and no text."""
    return (
        re.fullmatch("[0-9]{1,9}", line["participant"]) is not None
        and CLIP.fullmatch(line["filename"].lower()) is not None
    )


def of_expressions(lines: Sequence[Line], expressions: str, found: Findings) -> list[Line]:
    """The lines of the expressions that the study is about; how many there are of each kind is remarked."""
    kinds = {line.where: line["type"].lower()[:5] for line in lines}
    used = []
    for line in lines:
        if kinds[line.where] not in ("micro", "macro"):
            text = f"{line['filename']}: type is {line['type']!r}; valid: micro-expression, macro-expression"
            found.wrong("annotation", line.where, text)
        elif expressions in (kinds[line.where], "all"):
            used.append(line)
        else:
            found.left_out.append(LeftOut(line["filename"], line.where, f"a {kinds[line.where]}-expression"))
    subjects = len({line["participant"] for line in used})
    micro, macro = (sum(kind == name for kind in kinds.values()) for name in ("micro", "macro"))
    found.remarks.append(
        f"{micro} micro- and {macro} macro-expressions are annotated; expressions: {expressions} uses {len(used)}, "
        f"of {subjects} subjects"
    )
    return used


def by_clip(images: Home, found: Findings) -> dict[tuple[int, str], Path]:
    """Folders of one expression each, by subject and name."""
    return clip_sources(subject_folders(images, LAYOUT, found))


def by_film(images: Home, found: Findings) -> dict[tuple[int, str], Path]:
    """Videos (or folders of their frames) by subject and the film's code, both from their own name.

    One that lies in another subject's folder (rawpic/s19/23_0502funnyerrors) is its name's; it is counted.
    """
    sources: dict[tuple[int, str], Path] = {}
    for subject, folder in subject_folders(images, LAYOUT, found):
        for path in folders.sources(folder):
            if named := re.match(r"(\d+)_(\d{4})", path.name, re.ASCII):
                sources[int(named[1]), named[2]] = path
                if int(named[1]) != subject:
                    found.tally("in another subject's folder, taken for the subject of its name", path.name)
    return sources


def without_row(
    sources: Mapping[tuple[int, str], Path], lines: Sequence[Line], whole_videos: bool, found: Findings
) -> None:
    """Leave out, with a word, what is on disk and in no row of the sheet, of whatever expressions the study is."""
    used = {source_of(int(line["participant"]), line["filename"].lower(), whole_videos) for line in lines}
    for (subject, name), path in sources.items():
        if (subject, name) not in used:
            found.leave_out(f"s{subject:02d}/{source_name(path)}", str(path), "on disk without an annotation")


def source_of(participant: int, name: str, whole_videos: bool) -> tuple[int, str | None] | None:
    """Where an expression lies, as sources are named: by subject and clip, or film; None where there is none such."""
    if not 1 <= participant <= len(SUBJECTS):
        return None
    film = CLIP.fullmatch(name)
    return SUBJECTS[participant - 1], FILMS.get(film[1]) if whole_videos and film else name


def sample_of(
    line: Line, sources: Mapping[tuple[int, str], Path], whole_videos: bool, chosen: Options, found: Findings
) -> Sample | None:
    """A line's expression; None, with the reason noted, where it cannot be used."""
    participant, name = int(line["participant"]), line["filename"].lower()
    if not 1 <= participant <= len(SUBJECTS):
        text = f"{name}: participant is {participant}; valid: 1 to {len(SUBJECTS)}"
        found.wrong("annotation", line.where, text)
        return None
    subject, film = SUBJECTS[participant - 1], CLIP.fullmatch(name)
    clip = f"s{subject:02d}/{name}"
    if film is None or film[1] not in FILMS:
        text = f"{clip}: there is no such film; valid: {', '.join(FILMS)}"
        found.wrong("annotation", line.where, text)
        return None
    source = sources.get((subject, FILMS[film[1]] if whole_videos else name))
    frames = frames_of(line, clip, chosen.corrections, found)
    if frames is None:
        return None
    offset = frames.offset or ending(clip, frames, source, chosen.missing_offset, line, found)
    if frames.onset is None:
        found.wrong("annotation", line.where, f"{clip}: onset is {line['onset']!r}; valid: a whole number")
        return None
    if offset is None:
        return None
    labels = {"elicited": film[2], "valence": line["valence"], "reported": line["reported"]}
    ends = frames.onset, frames.apex, offset
    return Sample(line.where, NAME, f"s{subject:02d}", clip, *ends, labels, source, FPS)


def ending(clip: str, frames: Frames, source: Path | None, rule: str, line: Line, found: Findings) -> int | None:
    """Where an expression without an offset ends (44 macro-expressions), by the option missing_offset; counted."""
    if rule == "leave_out":
        found.leave_out(clip, line.where, "no offset annotated")
        return None
    if frames.apex is None or frames.onset is None:
        found.wrong("annotation", line.where, f"{clip}: offset is missing, and so is onset or apex")
        return None
    found.tally(f"no offset annotated, by the rule {rule}", clip)
    mirrored = 2 * frames.apex - frames.onset
    if rule == "apex" or source is None:
        return frames.apex
    try:
        return max(frames.apex, min(mirrored, folders.numbers(source)[-1]))
    except UserError:
        return mirrored  # told where the clip's frames are looked for
