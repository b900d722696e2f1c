"""What a dataset holds, everything wrong with it, and what is left out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from search_spaces.errors import UserError
from search_spaces.yaml_file import parse
from study.data import readers
from study.data.inspection import file_checks
from study.data.readers.findings import Problem, Survey

PLANNED = "synthetic"  # its videos are rendered when a study runs: there are no files to look at


@dataclass(frozen=True)
class Check:
    """A dataset as it was found, and what its files are found to hold."""

    reader: str
    path: Path | None
    survey: Survey
    problems: tuple[Problem, ...]
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
        "subjects_of_class": {name: sum(name in own for own in by_subject(survey).values()) for name in survey.classes},
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
