"""Reader of SMIC-E: SMIC's clips within longer videos, several to a video (Li et al. 2018, IEEE TAFFC 9(4))."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.data.readers import annotation_files
from study.data.readers.annotated_clips import Sample, survey_samples
from study.data.readers.annotation_files import Line
from study.data.readers.annotation_rows import clip_lines, whole
from study.data.readers.findings import Findings, Survey
from study.data.readers.folders import Layout, dataset_folder, home, source_name, sources, subject_folders
from study.data.readers.label_maps import label_map
from study.data.readers.options import parsed
from study.data.readers.smic import CLIP, EMOTIONS, EXTENDED, FPS, Options, clip_name

NAME = "smic_e"
SEVERAL = ("", "2", "3")  # what follows Onset and Offset in the columns of a video's first, second and third clip
COLUMNS = {"subject": ("subject",), "filename": ("filename",), "emotion?": ("emotion",)} | {
    f"{end}{number}{'?' if number else ''}": (f"{end}{number}f", f"{end}{number}")
    for end in ("onset", "offset")
    for number in SEVERAL
}


def survey(path: Path | None, given: Mapping[str, Any]) -> Survey:
    """SMIC-E below a folder: one camera's annotation and images. Raises UserError where nothing can be read."""
    chosen = parsed(Options, given, NAME)
    labels = label_map(chosen.labels, chosen.labels_from, NAME)
    root, found = dataset_folder(path, NAME), Findings()
    return survey_samples(NAME, root, samples(root, chosen, found), labels, chosen, found)


def samples(root: Path, chosen: Options, found: Findings) -> list[Sample]:
    """Every annotated clip. Onset and offset are numbers of files; there is no apex."""
    example = f"SMIC-{chosen.camera}-E_annotation"
    file = annotation_files.find(root, rf"smic-{chosen.camera.lower()}-e.*annotation", chosen.annotation, example)
    sheet = next((name for name in annotation_files.sheets(file) if name == chosen.camera), None)
    lines = annotation_files.table(annotation_files.raw_rows(file, sheet), "subject", COLUMNS, file)
    folders = video_folders(root, chosen, found)
    clips, used = [], set()
    for line in clip_lines(lines, is_clip, "a Filename like s1_ne_01", found):
        name = clip_name(line["filename"])
        source = folders.get(name)
        used.add(name)
        for one in clips_of(line):
            if frames := whole(one, name, chosen.corrections, found):
                clips.append(
                    Sample(line.where, NAME, name[:3], name, *frames, label_of(line), source, FPS[chosen.camera])
                )
    for name, folder in folders.items():
        if name not in used:
            found.leave_out(name, str(folder), "on disk without an annotation")
    return clips


def layout(camera: str) -> Layout:
    """How one camera's folders look; SMIC may lie beside it."""
    folder = f"/{camera.lower()}$"
    example = f"SMIC-{camera}-E/{camera}/s01/s1_ne_01/image000001.jpg"
    return Layout(r"s\d+", {"raw": rf"{EXTENDED}.*{folder}", "unnamed": folder}, example)


def video_folders(root: Path, chosen: Options, found: Findings) -> dict[str, Path]:
    """Folders of images by their clip's name with the subject in two digits: s01/s1_ne_01 and s20/s20_ne_01 occur."""
    own = layout(chosen.camera)
    subjects = subject_folders(home(root, own, chosen.images, found), own, found)
    paths = [path for _, folder in subjects for path in sources(folder)]
    return {clip_name(source_name(path)): path for path in paths}


def is_clip(line: Line) -> bool:
    """Whether a row is a clip's and no text, such as the MEAN below the table."""
    return CLIP.fullmatch(line["filename"].lower()) is not None


def clips_of(line: Line) -> list[Line]:
    """A line for each clip of a video: its first, and those whose further onsets are given."""
    given = [n for n in SEVERAL if not n or line[f"onset{n}"].lower() not in annotation_files.NOTHING]
    return [replace(line, cells={"onset": line[f"onset{n}"], "offset": line[f"offset{n}"]}) for n in given]


def label_of(line: Line) -> dict[str, str]:
    """The emotion as annotated, or as the clip's name says where there is no such column."""
    named = re.search(r"_(ne|po|sur)_", line["filename"].lower())
    return {"emotion": line["emotion"] or (EMOTIONS[named[1]] if named else "")}
