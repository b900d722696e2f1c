"""Where a dataset's images lie: found by the names of its subjects' folders, whatever folders stand above them."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from study.data.readers.findings import Findings, Problem
from study.data.video import video_files
from study.data.video.images import SUFFIXES, frame_number, image_files
from study.data.video.landmarks import check_length

VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
DEPTH = 5  # folders between a dataset's folder and its subjects'


@dataclass(frozen=True)
class Layout:
    """How a dataset's folders look. `kinds`: kind of images -> what its path says, the preferred first.

    Paths are matched in lower case, below the dataset's folder, with `/` before each name.
    """

    subject: str  # a subject's folder
    kinds: Mapping[str, str]
    example: str


@dataclass(frozen=True)
class Home:
    """A folder that holds a folder for each subject."""

    kind: str
    path: Path


def dataset_folder(path: Path | None, reader: str) -> Path:
    """The dataset's folder. Raises UserError where there is none."""
    if path is None or not path.is_dir():
        given = "no path is given" if path is None else f"there is no folder {path}"
        raise UserError(f"dataset: {given}; expected: the folder of {reader} as its owners ship it")
    return path


def home(root: Path, layout: Layout, images: str | None, found: Findings) -> Home:
    """The images that the option `images` names, by kind or folder, or those of the most preferred kind there.

    Which they are is remarked. Raises UserError when there are none, or several of one kind.
    """
    there = homes(root, layout)
    if not there:
        raise UserError(f"{root}: there are no images; expected: {layout.example}")
    kinds = [kind for kind in layout.kinds if any(one.kind == kind for one in there)]
    fitting = [one for one in there if images in (one.kind, os.path.relpath(one.path, root))] if images else []
    if images and not fitting:
        folders = [os.path.relpath(one.path, root) for one in there]
        raise UserError(f"dataset: option images is {images!r}; there are: {', '.join([*kinds, *folders])}")
    fitting = fitting or [one for one in there if one.kind == kinds[0]]
    if len(fitting) > 1:
        names = ", ".join(os.path.relpath(one.path, root) for one in fitting)
        raise UserError(f"{root}: there are several folders of {fitting[0].kind} images; name one by images: {names}")
    place = Path(root.resolve().name) / fitting[0].path.relative_to(root)
    crop = "" if fitting[0].kind == "cropped" else "; without landmarks the whole frame stands for the face"
    found.remarks.append(f"images: {fitting[0].kind} ({place}){crop}")
    return fitting[0]


def homes(root: Path, layout: Layout) -> list[Home]:
    """Every folder with folders of subjects whose path says which kind of images it holds."""
    found = []
    for folder, below, _ in os.walk(root, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
        path = Path(folder)
        if any(re.fullmatch(layout.subject, name.lower()) for name in below):
            inside = path.relative_to(root).as_posix() if path != root else root.resolve().name
            found += [Home(kind, path) for kind, says in layout.kinds.items() if re.search(says, f"/{inside.lower()}")][
                :1
            ]
            below.clear()
        if len(path.relative_to(root).parts) >= DEPTH:
            below.clear()
    return found


def subject_folders(home: Home, layout: Layout, found: Findings) -> list[tuple[int, Path]]:
    """Each subject's number and folder. Two folders of one number are a subject spelt two ways, which is a problem."""
    folders = [
        (int(re.sub(r"\D", "", path.name)), path)
        for path in sorted(home.path.iterdir())
        if path.is_dir() and re.fullmatch(layout.subject, path.name.lower())
    ]
    first: dict[int, Path] = {}
    for number, path in folders:
        if (other := first.setdefault(number, path)) != path:
            found.wrong("subject", str(path), f"one subject has two folders, {other.name} and {path.name}; join them")
    return folders


def clip_sources(subjects: Sequence[tuple[int, Path]]) -> dict[tuple[int, str], Path]:
    """The clips in each subject's folder, by its number and their names in lower case; the first of one name."""
    found: dict[tuple[int, str], Path] = {}
    for number, parent in subjects:
        for path in sources(parent):
            found.setdefault((number, source_name(path).lower()), path)
    return found


def sources(parent: Path) -> list[Path]:
    """What may be a clip in a folder: folders of images, then videos; none of macOS's companions `._EP01_01f.avi`."""
    there = sorted(path for path in parent.iterdir() if not path.name.startswith("."))
    folders = [path for path in there if path.is_dir()]
    video_files = [path for path in there if path.suffix.lower() in VIDEOS and path.is_file()]
    # A folder beside a video of its name may hold something else of the clip, such as landmarks.
    beside = {path.stem for path in video_files}
    return [path for path in folders if path.name not in beside or _holds_images(path)] + video_files


def _holds_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def source_name(source: Path) -> str:
    """A clip's name: its folder's, or its video's without the suffix."""
    return source.stem if source.suffix.lower() in VIDEOS else source.name


def numbers(source: Path) -> Sequence[int]:
    """The numbers of a source's frames, ascending: of a folder its images', of a video from 1. Raises UserError."""
    if source.is_dir():
        return [number for number in map(frame_number, image_files(source)) if number is not None]
    return range(1, video_files.length(source) + 1)


def unfit_sources(rows: Sequence[Mapping[str, Any]], root: Path) -> Iterator[Problem]:
    """Sources that cannot be read, have fewer frames than their clips or another number than their landmarks.

    As far as it is known without decoding a video.
    """
    clips: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        clips[row["source"]].append(row)
    for source, own in clips.items():
        try:
            length = _quick_length(root / source)
        except UserError as error:
            yield from (Problem("not readable", "", problem) for problem in error.problems)
            continue
        yield from too_short(str(root / source), length, own) if length else ()
        for landmarks in dict.fromkeys(row["landmarks"] for row in own if row["landmarks"]):
            try:
                check_length(root / landmarks, root / source)
            except UserError as error:
                yield from (Problem("landmarks", "", problem) for problem in error.problems)


def too_short(source: str, length: int, clips: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    """The problems of clips whose source has too few frames."""
    for row in clips:
        if (needed := row["offset"] + 1) > length:
            text = f"has {length} frames, clip {row['clip_id']} needs {needed} (offset {row['offset']}, counted from 0)"
            yield Problem("frames missing on disk", source, text, needed - length)


def _quick_length(source: Path) -> int:
    """Frames of a source, of a video as its header says; 0 where it says nothing. Raises UserError."""
    return len(image_files(source)) if source.is_dir() else video_files.promised(source)
