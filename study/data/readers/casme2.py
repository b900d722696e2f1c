"""Reader of CASME II: 247 micro-expressions of 26 subjects at 200 frames a second (Yan et al. 2014, PLoS ONE 9(1))."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.data.readers import annotation_files
from study.data.readers.annotated_clips import Sample, survey_samples
from study.data.readers.annotation_files import Line
from study.data.readers.annotation_rows import clip_lines, subject_number, subject_of, whole
from study.data.readers.findings import Findings, Survey
from study.data.readers.folders import Layout, clip_sources, dataset_folder, home, source_name, subject_folders
from study.data.readers.label_maps import label_map, roman
from study.data.readers.options import Options, parsed

NAME = "casme2"
FPS = 200.0
LAYOUT = Layout(
    subject=r"sub\d+",
    kinds={"cropped": r"crop", "selected": r"^(?!.*crop).*select", "long": r"^(?!.*crop)(?!.*select)"},
    example="CASME2_RAW_selected/sub01/EP02_01f/img46.jpg, Cropped/sub01/EP02_01f/reg_img46.jpg, or a video for each "
    "clip, sub01/EP02_01f.avi",
)
COLUMNS = {
    "subject": ("subject",),
    "filename": ("filename",),
    "onset": ("onsetframe", "onsetf", "onset"),
    "apex": ("apexframe", "apexf", "apex"),
    "offset": ("offsetframe", "offsetf", "offset"),
    "emotion": ("estimatedemotion", "emotion"),
}
OBJECTIVE_COLUMNS = {
    "subject": ("subject",),
    "filename": ("filename",),
    "objective": ("objectiveclass", "objectiveclasses"),
}
# Clips with a label of MEGC2019's that its official list does not have.
NOT_IN_MEGC2019 = {"sub04/EP12_01f": "it has no apex", "sub05/EP09_05f": "its onset is its apex"}


def survey(path: Path | None, given: Mapping[str, Any]) -> Survey:
    """CASME II below a folder: its annotation, and images of one kind. Raises UserError where nothing can be read."""
    chosen = parsed(Options, given, NAME)
    labels = label_map(chosen.labels, chosen.labels_from, NAME)
    root, found = dataset_folder(path, NAME), Findings()
    clips = samples(root, chosen, found)
    if labels.kind == "objective":
        clips = with_objective_class(clips, root, found)
    if labels.name == "megc3":
        clips = as_in_megc2019(clips, found)
    return survey_samples(NAME, root, clips, labels, chosen, found)


def samples(root: Path, chosen: Options, found: Findings) -> list[Sample]:
    """Every annotated clip. Folders on disk without an annotation (sub09/EP02_02f, sub24/EP02_07) are left out."""
    file = annotation_files.find(root, r"casme.*coding", chosen.annotation, "CASME2-coding-20140508")
    lines = annotation_files.table(annotation_files.raw_rows(file), "subject", COLUMNS, file)
    images = home(root, LAYOUT, chosen.images, found)
    folders = clip_sources(subject_folders(images, LAYOUT, found))
    clips, used = [], set()
    for line in clip_lines(lines, is_clip, "a Filename like EP02_01f", found):
        number, name = subject_of(line, found), line["filename"]
        clip = f"sub{number:02d}/{name}"
        used.add((number, name.lower()))
        if frames := whole(line, clip, chosen.corrections, found):
            source, labels = folders.get((number, name.lower())), {"emotion": line["emotion"]}
            clips.append(Sample(line.where, NAME, f"sub{number:02d}", clip, *frames, labels, source, FPS))
    for (number, name), folder in folders.items():
        if (number, name) not in used:
            found.leave_out(f"sub{number:02d}/{source_name(folder)}", str(folder), "on disk without an annotation")
    return clips


def is_clip(line: Line) -> bool:
    """Whether a row is a clip's and no text."""
    return re.match(r"EP\d+", line["filename"], re.IGNORECASE) is not None


def as_in_megc2019(clips: list[Sample], found: Findings) -> list[Sample]:
    """The clips without the two that MEGC2019's list leaves out."""
    for clip in clips:
        if clip.clip_id in NOT_IN_MEGC2019:
            reason = f"not in MEGC2019's list ({NOT_IN_MEGC2019[clip.clip_id]})"
            found.leave_out(clip.clip_id, clip.where, reason)
    return [clip for clip in clips if clip.clip_id not in NOT_IN_MEGC2019]


def with_objective_class(clips: list[Sample], root: Path, found: Findings) -> list[Sample]:
    """The clips with their objective classes, which CASME II has in a file of their own."""
    file = annotation_files.find(root, r"casme.*objective", None, "CASME2-ObjectiveClasses")
    lines = annotation_files.table(annotation_files.raw_rows(file), "subject", OBJECTIVE_COLUMNS, file)
    classes = {(subject_number(line["subject"]), line["filename"].lower()): line["objective"] for line in lines}
    classed = []
    for clip in clips:
        key = subject_number(clip.subject), clip.clip_id.partition("/")[2].lower()
        if key in classes:
            classed.append(replace(clip, labels=dict(clip.labels) | {"objective": roman(classes[key])}))
        else:
            found.leave_out(clip.clip_id, clip.where, f"no objective class in {file.name}")
    return classed
