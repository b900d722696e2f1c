"""Reader of SAMM: 159 micro-expressions at 200 frames a second (Davison et al. 2018, IEEE TAFFC 9(1))."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from study.data.readers import annotation_files
from study.data.readers.annotated_clips import Sample, survey_samples
from study.data.readers.annotation_files import Line
from study.data.readers.annotation_rows import clip_lines, subject_of, whole
from study.data.readers.findings import Findings, Survey
from study.data.readers.folders import Layout, clip_sources, dataset_folder, home, numbers, subject_folders
from study.data.readers.label_maps import label_map, roman
from study.data.readers.options import Options, parsed

NAME = "samm"
FPS = 200.0
LAYOUT = Layout(
    subject=r"\d{3}",
    kinds={"cropped": r"crop", "raw": r"^(?!.*crop)"},
    example="SAMM/006/006_1_2/006_05562.jpg, or SAMM_CROP/006/006_1_2/006_05562.jpg",
)
COLUMNS = {
    "subject": ("subject",),
    "filename": ("filename",),
    "onset": ("onsetframe", "onset"),
    "apex": ("apexframe", "apex"),
    "offset": ("offsetframe", "offset"),
    "emotion": ("estimatedemotion", "emotion"),
    "objective?": ("objectiveclasses", "objectiveclass"),
}
# Clips whose offset is wrong in the owner's sheet; public corrections of it differ.
WRONG_OFFSET = ("013_1_9",)


def survey(path: Path | None, given: Mapping[str, Any]) -> Survey:
    """SAMM below a folder: its sheet, and images of one kind. Raises UserError where nothing can be read."""
    chosen = parsed(Options, given, NAME)
    labels = label_map(chosen.labels, chosen.labels_from, NAME)
    root, found = dataset_folder(path, NAME), Findings()
    return survey_samples(NAME, root, samples(root, chosen, found), labels, chosen, found)


def samples(root: Path, chosen: Options, found: Findings) -> list[Sample]:
    """Every annotated clip. Folders on disk without an annotation are left out."""
    file = annotation_files.find(root, r"samm(?!.*long)", chosen.annotation, "SAMM_Micro_FACS_Codes_v2")
    lines = annotation_files.table(micro_rows(file), "subject", COLUMNS, file)
    folders = clip_sources(subject_folders(home(root, LAYOUT, chosen.images, found), LAYOUT, found))
    clips, used = [], set()
    for line in clip_lines(lines, is_clip, "a Filename like 006_1_2", found):
        number, name = subject_of(line, found), line["filename"]
        if number != int(name.split("_")[0]):
            found.wrong("annotation", line.where, f"{name}: subject is {line['subject']!r}, the name says another")
        source = folders.get((number, name.lower()))
        used.add((number, name.lower()))
        if frames := whole(line, name, chosen.corrections, found):
            labels = {"emotion": line["emotion"], "objective": roman(line["objective"])}
            sample = Sample(line.where, NAME, f"{number:03d}", name, *frames, labels, source, FPS)
            clips.append(with_offset_on_disk(sample, found) if name in WRONG_OFFSET else sample)
    for (number, name), folder in folders.items():
        if (number, name) not in used:
            found.leave_out(name, str(folder), "on disk without an annotation")
    return clips


def micro_rows(file: Path) -> list[tuple[str, list[str]]]:
    """Rows of the sheet MICRO_ONLY, or of the first sheet where there is none of that name."""
    names = annotation_files.sheets(file)
    return annotation_files.raw_rows(file, "MICRO_ONLY" if "MICRO_ONLY" in names else None)


def is_clip(line: Line) -> bool:
    """Whether a row is a clip's and no text."""
    return re.fullmatch(r"[0-9]{1,9}_[0-9]+_[0-9]+", line["filename"]) is not None


def with_offset_on_disk(sample: Sample, found: Findings) -> Sample:
    """A clip whose annotated offset is known to be wrong ends with the last image of its folder, which is counted.

    A sheet that somebody corrected, whose offset the folder has, is believed.
    """
    try:
        there = numbers(sample.source) if sample.source else []
    except UserError:
        return sample  # told where the clip's frames are looked for
    if not there or (sample.onset <= sample.offset and sample.offset in there):
        return sample
    found.tally("offset known to be wrong, taken from the last image", sample.clip_id)
    return replace(sample, offset=there[-1])
