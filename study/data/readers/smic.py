"""Reader of SMIC: 164 micro-expressions (HS; VIS and NIR: 71 each), without annotation file (Li et al. 2013, FG)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from search_spaces.errors import UserError
from study.data.readers import options
from study.data.readers.annotated_clips import Sample, survey_samples
from study.data.readers.findings import Findings, Survey
from study.data.readers.folders import Layout, dataset_folder, home, numbers, source_name, sources, subject_folders
from study.data.readers.label_maps import label_map

NAME = "smic"
FPS = {"HS": 100.0, "VIS": 25.0, "NIR": 25.0}
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}  # in a clip's name
EXTENDED = r"smic[-_]?(\w+[-_])?e([-_ /]|$)"  # in a path of SMIC-E
CLIP = re.compile(r"s(\d{1,9})_(ne|po|sur)_(\d{1,9})")


class Options(options.Options):
    """Options of SMIC; `camera` is one of its three."""

    camera: Literal["HS", "VIS", "NIR"] = "HS"


def survey(path: Path | None, given: Mapping[str, Any]) -> Survey:
    """SMIC below a folder: one camera's images of one kind. Raises UserError where nothing can be read."""
    chosen = options.parsed(Options, given, NAME)
    labels = label_map(chosen.labels, chosen.labels_from, NAME)
    root, found = dataset_folder(path, NAME), Findings()
    return survey_samples(NAME, root, samples(root, chosen, found), labels, chosen, found)


def samples(root: Path, chosen: Options, found: Findings) -> list[Sample]:
    """Every clip: a folder is a clip, the folder around it the label, its first and last image onset and offset."""
    own = layout(chosen.camera)
    clips = []
    for number, folder in subject_folders(home(root, own, chosen.images, found), own, found):
        for path in (path for label in sorted((folder / "micro").glob("*/")) for path in sources(label)):
            if sample := sample_of(path, number, chosen.camera, found):
                clips.append(sample)
    return clips


def layout(camera: str) -> Layout:
    """How one camera's folders look: one of their path is named after it. SMIC-E is another dataset."""
    inside = rf"^(?!.*{EXTENDED})(?=.*/{camera.lower()}(/|$))"
    example = f"SMIC_all_cropped/{camera}/s1/micro/negative/s1_ne_01/reg_image559740.bmp, or SMIC_all_raw/{camera}/..."
    return Layout(r"s\d+", {"cropped": rf"{inside}.*crop", "raw": rf"{inside}(?!.*crop)"}, example)


def sample_of(folder: Path, subject: int, camera: str, found: Findings) -> Sample | None:
    """A folder's clip; None where it is empty, and a problem where its name contradicts the folders around it."""
    clip, label = clip_name(source_name(folder)), folder.parent.name.lower()
    named = CLIP.fullmatch(source_name(folder).lower())
    if named and int(named[1]) != subject:
        found.wrong("folder", str(folder), f"is named after subject {named[1]}, and lies in s{subject}; move it")
    if named and EMOTIONS[named[2]] != label and label in EMOTIONS.values():
        found.wrong("label", str(folder), f"is named {EMOTIONS[named[2]]}, and lies in {label}; move it")
    try:
        own = numbers(folder)
    except UserError as error:
        for problem in error.problems:
            found.wrong("not readable", "", problem)
        return None
    labels, fps = {"emotion": label}, FPS[camera]
    return Sample(str(folder), NAME, f"s{subject:02d}", clip, own[0], None, own[-1], labels, folder, fps)


def clip_name(name: str) -> str:
    """A clip's name with its subject in two digits, as MEGC2019's list has it: s1_ne_01 is s01_ne_01."""
    named = CLIP.fullmatch(name.lower())
    return f"s{int(named[1]):02d}_{named[2]}_{int(named[3]):02d}" if named else name
