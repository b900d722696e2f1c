"""The cache: every clip decoded once, its regions in memory-mapped Arrow files that are named by their content."""

import io
import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from math import prod
from pathlib import Path
from shlex import quote
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from search_spaces.digests import digest
from search_spaces.errors import UserError
from search_spaces.files import require_file, written_whole
from study.data.cache.build import BUILDING, Progress, Task, decode_all, wait_for_lock
from study.data.cache.content_digests import Contents
from study.data.clips import ClipIndex, Clips, assemble, pixel_state
from study.data.video import decode, landmarks
from study.data.video.cropping import Wanted, attempt, region_of, wanted_of
from study.data.video.images import image_files
from study.data.video.regions import rule
from study.system.hardware import cores

log = logging.getLogger("losolab")

Pixels = npt.NDArray[np.uint8]
_LOADING = Lock()
_ABOUT = b"losolab"  # metadata of a file, as About


@dataclass(frozen=True)
class About:
    """What a file of the cache says of itself; digest: of its pixels."""

    dataset: str
    master: str
    clips: int
    digest: str


@dataclass(frozen=True)
class Entry:
    """A clip of an index and what decides its pixels: the digest of its source's content, and of its landmarks'."""

    wanted: Wanted
    source: Path
    content: str
    landmarks: str | None

    def shows_what(self, other: "Entry") -> bool:
        """Whether a clip of the same content holds frames of this one, and its face is not another in the picture."""
        mine, its = self.wanted, other.wanted
        together = mine.first <= its.last and its.first <= mine.last
        if self.source.is_dir():  # the content is that of the clip's frames alone
            together = self.content == other.content or (self.source == other.source and together)
        return together and not (mine.face and its.face and mine.face.is_apart(its.face))

    def name(self, master: str) -> str:
        """Identity of the clip's pixels of a master: never of a path."""
        frames, face = [self.wanted.first, self.wanted.last], self.wanted.face and list(self.wanted.face)
        place = [] if region_of(master) == "frame" else [face, self.landmarks]
        return digest([self.content, frames, place, rule(master, self.landmarks is not None), decode.VERSION])[:32]


def load(
    index: ClipIndex,
    masters: Sequence[str],
    folder: Path,
    progress: Progress | None = None,
    processes: int | None = None,
) -> Clips:
    """The clips' pixels of these masters (network_inputs.master), from the cache in `folder`; the rest is decoded.

    Each master is an Arrow IPC file (FixedShapeTensor, uncompressed, a row a frame from onset to offset, clips in the
    index's order), read as a read-only view of the mapped file; one process builds, others wait. Raises UserError with
    every bad clip; a file in the cache is whole or not there, and what was decoded before an error or a kill is kept.
    """
    (folder / BUILDING).mkdir(parents=True, exist_ok=True)
    entries = identified(index, folder)
    files = {master: folder / file_name(master, entries) for master in masters}
    if not all(file.is_file() for file in files.values()):
        with wait_for_lock(folder / BUILDING):
            build(
                index.name, entries, {m: file for m, file in files.items() if not file.is_file()}, progress, processes
            )
    found = {master: read(file) for master, file in files.items()}
    frames = sum(one.wanted.length for one in entries)
    if wrong := [file for master, file in files.items() if len(found[master][0]) != frames]:
        raise UserError([f"{file}: does not hold the {frames} frames of its clips; {remedy(file)}" for file in wrong])
    return assemble(index, {m: pixels for m, (pixels, _) in found.items()}, {m: own for m, (_, own) in found.items()})


def cached(index: ClipIndex, masters: Sequence[str], folder: Path) -> Clips | None:
    """What `load` gives, where that need decode nothing; else None. Raises UserError."""
    (folder / BUILDING).mkdir(exist_ok=True)
    entries = identified(index, folder)
    there = all((folder / file_name(master, entries)).is_file() for master in masters)
    return load(index, masters, folder) if there else None


def known(folder: Path) -> Contents:
    """What is known of the sources of a cache's clips."""
    return Contents(folder / BUILDING / "contents.json")


def identified(index: ClipIndex, folder: Path) -> list[Entry]:
    """The clips by content. Raises UserError with every source and file of landmarks that is missing, and with frames
    that are two subjects': held out as one's, they would be trained on as the other's.
    """
    contents = known(folder)
    with ThreadPoolExecutor(cores()) as threads:  # hashing leaves Python's lock to others
        works = (partial(attempt, partial(entry, index.root, row, contents)) for row in index.table.to_pylist())
        outcomes = list(threads.map(lambda work: work(), works))
    contents.save()
    problems = [problem for outcome in outcomes if isinstance(outcome, UserError) for problem in outcome.problems]
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    entries = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
    if problems := list(of_two_subjects(entries, index.table.to_pylist())):
        raise UserError(problems)
    return entries


def of_two_subjects(entries: Sequence[Entry], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Sources of one content some of whose frames are two subjects'; faces in boxes that do not touch are two."""
    groups: dict[str, list[tuple[Entry, str]]] = defaultdict(list)
    for one, row in zip(entries, rows, strict=True):
        for name in {one.content, str(one.source)} if one.source.is_dir() else {one.content}:
            groups[name].append((one, f"subject {row['subject']} of {row['dataset']}"))
    for group in groups.values():
        for (one, subject), (other, another) in combinations(group, 2):
            if subject != another and one.shows_what(other):
                clips = f"{one.wanted.clip_id} ({subject}) and {other.wanted.clip_id} ({another})"
                yield f"{one.source}: clips {clips} hold the same frames; correct the subject, or remove one of them"
                break


def entry(root: Path, row: Mapping[str, Any], contents: Contents) -> Entry:
    """A row of the index by its content. Raises UserError."""
    source, wanted = root / row["source"], wanted_of(root, row)
    points = None
    if wanted.landmarks is not None:
        files = partial(landmarks.point_files, source=source)
        points = contents.digest(wanted.landmarks, wanted.first, wanted.last, files)
    return Entry(wanted, source, contents.digest(source, wanted.first, wanted.last, image_files), points)


def file_name(master: str, entries: Sequence[Entry]) -> str:
    """A master's file: named by all that decides its pixels."""
    return f"{master}-{digest([entry.name(master) for entry in entries])[:32]}.arrow"


def build(
    dataset: str, entries: Sequence[Entry], files: Mapping[str, Path], progress: Progress | None, processes: int | None
) -> None:
    """Decode the clips whose parts are not there yet, and join the parts of each master."""
    if not files:
        return
    parts = next(iter(files.values())).parent / BUILDING
    for half in [*parts.glob(".*.npy-*.partial"), *parts.parent.glob(".*.arrow-*.partial")]:
        half.unlink(missing_ok=True)  # a killed process left it
    decode_all(tasks(entries, tuple(files), parts), progress or (lambda done, total: None), processes)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(partial(join, dataset, entries, parts), files.items()))


def join(dataset: str, entries: Sequence[Entry], parts: Path, made: tuple[str, Path]) -> None:
    """Write a master's file from the parts of its clips, and remove these."""
    master, file = made
    own = [part(parts, entry, master) for entry in entries]
    write(file, own, dataset, master)
    for one in own:
        one.unlink(missing_ok=True)  # two clips may share one


def part(folder: Path, entry: Entry, master: str) -> Path:
    return folder / f"{entry.name(master)}.npy"


def is_whole(part: Path, frames: int) -> bool:
    """Whether a part is there with so many frames; one that is damaged is decoded again, with a word."""
    try:
        pixels = loaded(part)
        if pixels.dtype == np.uint8 and pixels.ndim == 3 and len(pixels) == frames:
            return True
    except FileNotFoundError:
        return False
    except (EOFError, OSError, SyntaxError, ValueError):  # NumPy's words for a header that is none
        pass
    log.warning("%s was damaged: its clip is decoded again", part)
    return False


def tasks(entries: Sequence[Entry], masters: tuple[str, ...], folder: Path) -> list[Task]:
    """What is left to decode: a video once for all its clips, of a folder of images each clip by itself."""
    together: dict[tuple[Path, int], list[Entry]] = defaultdict(list)
    for number, one in enumerate(entries):
        if not all(is_whole(part(folder, one, master), one.wanted.length) for master in masters):
            together[one.source, 0 if one.source.is_file() else number].append(one)
    return [
        Task(
            source,
            tuple(one.wanted for one in own),
            masters,
            tuple({master: part(folder, one, master) for master in masters} for one in own),
        )
        for (source, _), own in together.items()
    ]


def write(file: Path, parts: Sequence[Path], dataset: str, master: str) -> None:
    """A master's file from the parts of its clips, .npy [n, S, S] each, in this order; whole or not at all."""
    shapes = [loaded(part).shape for part in parts]
    shape = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    state = pixel_state(shape)
    for pixels in map(loaded, parts):
        state.update(pixels.data)
    about = asdict(About(dataset, master, len(parts), state.hexdigest()))
    untouched = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros(shape, np.uint8))  # takes no memory
    batch = pa.record_batch({"pixels": untouched}).replace_schema_metadata({_ABOUT: json.dumps(about)})
    with written_whole(file) as draft, draft.open("wb") as stream:
        filled = Filled(stream, parts, shape)
        with pa.ipc.new_file(filled, batch.schema) as writer:
            writer.write_batch(batch)
        assert filled.times == 1, "pyarrow did not write the pixels as one piece"


def loaded(part: Path) -> Pixels:
    """A part's frames, a view of the mapped file.

    One thread at a time: NumPy has Python's ast parse the header, and two threads there may end, in Python 3.11, with a
    SystemError, `AST constructor recursion depth mismatch`.
    """
    with _LOADING:
        pixels: Pixels = np.load(part, mmap_mode="r")
    return pixels


class Filled(io.RawIOBase):
    """A file for pyarrow, which writes parts where it is given pixels of this shape: one after another, so that they
    need not be in memory together.
    """

    def __init__(self, stream: BinaryIO, parts: Sequence[Path], shape: tuple[int, ...]) -> None:
        self.stream, self.parts, self.size = stream, parts, prod(shape)
        self.times = 0  # that the parts were written

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """What pyarrow writes, or the parts in its place."""
        if len(data) != self.size:
            return self.stream.write(data)
        self.times += 1
        for part in self.parts:
            self.stream.write(loaded(part).data)
        return self.size


def read(file: Path) -> tuple[Pixels, str]:
    """A master's frames, uint8 [R, S, S], a read-only view of the mapped file without a copy; and their digest.

    Raises UserError where the file is not whole.
    """
    view, said = opened(file)
    return view, said.digest


def opened(file: Path) -> tuple[Pixels, About]:
    """A master's frames, a read-only view, and what the file says of itself. Raises UserError where it is not whole."""
    require_file(file, "a file of the cache")
    try:
        table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
        view: Pixels = table.column("pixels").chunk(0).to_numpy_ndarray()
        said = About(**json.loads(table.schema.metadata[_ABOUT]))
        if view.dtype != np.uint8 or view.ndim != 3:
            raise ValueError("it does not hold pixels")
    except (pa.ArrowException, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{file}: is not of the cache, or not whole ({reason}); {remedy(file)}") from error
    view.flags.writeable = False
    return view, said


def remedy(file: Path) -> str:
    """What to do about a file of the cache that is damaged."""
    return f"remove it: losolab data cache remove {file.stem} --storage {quote(str(file.parent.parent))}"
