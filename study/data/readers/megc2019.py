"""Reader of the MEGC2019 composite: the clips of the challenge's official list, from CASME II, SMIC-HS and SAMM.

442 clips of 68 subjects in three classes (See et al. 2019, FG). Each dataset is read from its owners' folders.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from search_spaces.errors import UserError
from study.data.readers import casme2, options, samm, smic
from study.data.readers.annotated_clips import Sample, survey_samples
from study.data.readers.annotation_files import find, raw_rows
from study.data.readers.annotation_rows import subject_number
from study.data.readers.findings import Findings, Survey
from study.data.readers.folders import dataset_folder
from study.data.readers.label_maps import MAPS, label_map, normal

NAME = "megc2019"
CLASSES = ("negative", "positive", "surprise")  # 0, 1, 2 in the list
CLIPS, SUBJECTS = 442, 68  # of the official list
DATASETS = {"casme2": casme2, "smic": smic, "samm": samm}


class OfficialClip(NamedTuple):
    """A clip of the official list."""

    where: str
    dataset: str
    clip: str
    label: str


class Part(BaseModel):
    """Where one of the three datasets lies, from the composite's folder on, and what its reader is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path: str
    images: str | None = None
    annotation: str | None = None


class Options(options.Options):
    """Options of MEGC2019; `annotation` is the list. Each dataset is a folder, or a mapping of Part's keys."""

    casme2: str | Part = "casme2"
    smic: str | Part = "smic"
    samm: str | Part = "samm"


def survey(path: Path | None, given: Mapping[str, Any]) -> Survey:
    """The composite: the list and the three datasets below a folder. Raises UserError where one cannot be read."""
    chosen = options.parsed(Options, given, NAME)
    labels = label_map(chosen.labels, chosen.labels_from, NAME)
    root, found = dataset_folder(path, NAME), Findings()
    listed = official_list(find(root, r"combined_3class_gt", chosen.annotation, "combined_3class_gt"), found)
    samples = {(one.dataset, one.clip_id.lower()): one for one in all_samples(root, chosen, found)}
    there = [(one, samples.pop((one.dataset, one.clip.lower()), None)) for one in listed]
    clips = [clip for one, sample in there if (clip := of_list(one, sample, chosen.missing, found))]
    for sample in samples.values():
        found.leave_out(f"{sample.dataset}/{sample.clip_id}", sample.where, "not in MEGC2019's list")
    subjects = len({(clip.dataset, clip.subject) for clip in clips})
    if (len(listed), subjects) != (CLIPS, SUBJECTS):
        found.remarks.append(f"{len(clips)} clips of {subjects} subjects; the official list has {CLIPS} of {SUBJECTS}")
    return survey_samples(NAME, root, clips, labels, chosen, found)


def official_list(file: Path, found: Findings) -> list[OfficialClip]:
    """The clips of the list: dataset, subject, clip, label as 0, 1 or 2, without a header. Empty rows are skipped."""
    listed: dict[tuple[str, str], OfficialClip] = {}
    for where, row in raw_rows(file):
        if any(row[4:]):
            found.wrong("annotation", where, "has more than four cells: dataset, subject, clip, label")
        dataset, _, _, label = [cell.lower() for cell in (*row, "", "", "", "")[:4]]
        if dataset not in DATASETS:
            found.wrong("annotation", where, f"the dataset is {dataset!r}; valid: {', '.join(DATASETS)}")
        elif label not in ("0", "1", "2"):
            found.wrong("annotation", where, f"the label is {label!r}; valid: 0 (negative), 1 (positive), 2 (surprise)")
        else:
            one = OfficialClip(where, dataset, clip_of(dataset, row), CLASSES[int(label)])
            if listed.setdefault((dataset, one.clip.lower()), one) != one:
                found.wrong("annotation", where, f"{one.clip} stands in the list already")
    return list(listed.values())


def clip_of(dataset: str, row: list[str]) -> str:
    """A listed clip's id as the datasets' readers give it: CASME II's names are unique within a subject only."""
    if dataset == "casme2":
        return f"sub{subject_number(row[1]) or 0:02d}/{row[2]}"
    return smic.clip_name(row[2]) if dataset == "smic" else row[2]


def all_samples(root: Path, chosen: Options, found: Findings) -> list[Sample]:
    """Every clip of the three datasets. Raises UserError with all that cannot be read."""
    samples: list[Sample] = []
    problems: list[str] = []
    for name, reader in DATASETS.items():
        given = getattr(chosen, name)
        part = Part(path=given) if isinstance(given, str) else given
        own = reader.Options(
            images=part.images, annotation=part.annotation, missing=chosen.missing, corrections=chosen.corrections
        )
        try:
            samples += reader.samples(dataset_folder(root / part.path, name), own, found)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return samples


def of_list(listed: OfficialClip, sample: Sample | None, missing: str, found: Findings) -> Sample | None:
    """A listed clip's sample with the list's label; a problem where its own label says otherwise, or it is missing and
    the study does not leave out what is.
    """
    if sample is None and missing == "leave_out":
        found.leave_out(f"{listed.dataset}/{listed.clip}", listed.where, "of the list, not on disk")
        return None
    if sample is None:
        found.wrong("not on disk", listed.where, f"{listed.clip} of the list is not in {listed.dataset}")
        return None
    own = MAPS["megc3"][listed.dataset].to.get(normal(sample.labels["emotion"]))
    if own not in (None, listed.label):
        text = f"{listed.clip} is {listed.label}; {listed.dataset} says {sample.labels['emotion']}"
        found.wrong("label", listed.where, f"{text} ({sample.where})")
    return replace(sample, labels={"emotion": listed.label})
