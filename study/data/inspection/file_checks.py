"""A dataset's files held against its index: empty files, lengths, clips twice, and what decoders make of them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.errors import UserError
from study.data.inspection import frame_rates
from study.data.readers.findings import SHOWN, Problem
from study.data.readers.folders import numbers, too_short
from study.data.video import decode
from study.data.video.cropping import attempt, cut_source, wanted_of
from study.data.video.images import image_files
from study.data.video.video_files import Held, held, readable

REGIONS = ("face", "eyes", "mouth", "frame")  # masters of the configurations that change nothing

Rows = Sequence[Mapping[str, Any]]  # of CLIP_INDEX


def source_frames(rows: Rows, root: Path) -> tuple[dict[str, int], list[Problem]]:
    """Frames of each source, of a video as its header says; and the sources that cannot be read or are too short."""
    frames: dict[str, int] = {}
    problems = []
    for source, clips in by_source(rows).items():
        try:
            frames[source] = len(numbers(root / source))
        except UserError as error:
            problems += [Problem("not readable", "", problem) for problem in error.problems]
            continue
        problems += too_short(str(root / source), frames[source], clips)
    return frames, problems


def notes(rows: Rows, root: Path) -> list[str]:
    """What to know of the clips' videos, of those that can be read: whose frame rate varies."""
    files = {source: root / source for source in by_source(rows) if (root / source).is_file()}
    found = {source: attempt(partial(held, path)) for source, path in files.items()}
    return frame_rates.varying([s for s, one in found.items() if isinstance(one, Held) and one.times], len(files))


def extra_frames(rows: Rows, frames: Mapping[str, int]) -> int:
    """Frames of the sources that lie in no clip."""
    clips = by_source(rows)
    return sum(count - _covered(clips[source], count) for source, count in frames.items())


def _covered(clips: Rows, count: int) -> int:
    """Frames of a source of so many that lie in one of its clips, or in several."""
    covered = end = 0
    for first, last in sorted((row["onset"], min(row["offset"] + 1, count)) for row in clips):
        covered += max(0, last - max(first, end))
        end = max(end, last)
    return covered


def empty_files(rows: Rows, root: Path) -> Iterator[Problem]:
    """Files of clips that hold nothing."""
    files: set[Path] = set()
    for source, clips in by_source(rows).items():
        held, is_folder = source_files(root / source), (root / source).is_dir()
        files.update(file for row in clips for file in held[span(row, is_folder)])
    for file in sorted(files):
        if file.stat().st_size == 0:
            yield Problem("empty file", str(file), "is empty (0 bytes); copy it again from where it came")


def duplicates(rows: Rows, root: Path) -> Iterator[Problem]:
    """Clips with the same content, found by the sizes of their files, then by SHA-256 where these agree.

    Two files of one content are two copies of a video, whichever frames their clips are; in one file, clips of the same
    frames are.
    """
    held = {source: source_files(root / source) for source in by_source(rows)}
    sizes = {source: [file.stat().st_size for file in files] for source, files in held.items()}
    folders = {source for source in held if (root / source).is_dir()}
    alike: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if own := sizes[row["source"]][span(row, row["source"] in folders)]:
            alike[hash(tuple(own))].append(row)
    known: dict[tuple[str, int, int], str] = {}  # of 100,000 clips of one film, its bytes are read once
    for group in alike.values():
        same: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in group if len(group) > 1 else []:
            files = span(row, row["source"] in folders)
            name = (row["source"], files.start, files.stop)
            known[name] = known.get(name) or content(held[row["source"]][files])
            same[known[name]].append(row)
        for clips in same.values():
            if twice := copies(clips, root):
                told = [f"{row['dataset']} {row['clip_id']} ({root / row['source']})" for row in twice[:SHOWN]]
                told += [f"{len(twice) - SHOWN} more"] if len(twice) > SHOWN else []
                yield Problem("duplicate", " and ".join(told), "have the same content; remove all but one")


def span(row: Mapping[str, Any], is_folder: bool) -> slice:
    """Which of its source's files a clip is in: the images from onset to offset, or the one video."""
    return slice(row["onset"], row["offset"] + 1) if is_folder else slice(0, 1)


def copies(clips: Rows, root: Path) -> Rows:
    """Those of the clips, all of one content, that are copies of others: in several sources, or of the same frames."""
    if len({(root / source).resolve() for source in {row["source"] for row in clips}}) > 1:
        return clips
    times = Counter((row["onset"], row["offset"]) for row in clips)
    return [row for row in clips if times[row["onset"], row["offset"]] > 1]


def content(files: Sequence[Path]) -> str:
    """SHA-256 of files, one after another."""
    state = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(2**20):
                state.update(piece)
    return state.hexdigest()


def source_files(source: Path) -> list[Path]:
    """A source's images in their order, or its video; none where they cannot be read."""
    if not source.is_dir():
        return [source] if source.is_file() else []
    try:
        return image_files(source)
    except UserError:
        return []


def decoded(source: str, clips: Rows, root: Path) -> Iterator[Problem]:
    """What is wrong with a source when its clips are cut as a study cuts them, and where a video's decoders disagree.

    A video is decoded once for all its clips, of a folder of images each clip by itself.
    """
    path = root / source
    wanted = [wanted_of(root, row) for row in clips]
    told: dict[str, list[str]] = defaultdict(list)
    for together in [wanted] if path.is_file() else [[clip] for clip in wanted]:
        for clip, outcome in zip(together, cut_source(path, together, REGIONS), strict=True):
            for problem in outcome.problems if isinstance(outcome, UserError) else []:
                told[problem].append(clip.clip_id)
    for problem, names in told.items():
        yield Problem("decoding", f"clip {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}", problem)
    if path.is_file():
        checked = attempt(lambda: list(cross_check(path)))
        if isinstance(checked, UserError):
            yield from (Problem("decoding", "", problem) for problem in checked.problems if problem not in told)
        else:
            yield from checked


def cross_check(path: Path) -> Iterator[Problem]:
    """Where a video's header, PyAV and decord disagree about its frames."""
    promised = held(path).promised
    second = find_spec("decord") is not None and decode.turns_as_decord(path)
    count = differ = 0
    last = None
    with readable(path):
        for frame, other in zip_longest(decode.by_pyav(path), decode.by_decord(path) if second else ()):
            count += frame is not None
            last = frame if frame is not None else last  # where a film ends early, decord repeats its last frame
            differ += second and not (other is not None and last is not None and np.array_equal(last, other))
    if promised and promised != count:
        yield Problem("decoding", str(path), f"its header says {promised} frames, {count} can be decoded")
    if differ:
        yield Problem("decoding", str(path), f"PyAV and decord differ in {differ} of {count} frames")


def by_source(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """The clips of each source, in the order of the rows."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["source"]].append(row)
    return groups
