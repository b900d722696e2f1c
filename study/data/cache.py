"""The cache: every clip decoded once, its regions in memory-mapped Arrow files that are named by their content."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from search_spaces.errors import UserError
from search_spaces.identity import digest
from study.data import decode
from study.data.clips import ClipIndex, Clips, assemble
from study.data.regions import MASTER, Box, cut, rule

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]  # clips done, clips in all


def load(index: ClipIndex, regions: Sequence[str], folder: Path, progress: Progress | None = None) -> Clips:
    """The clips' pixels of these regions, from the cache in `folder`; what is missing there is decoded in one pass.

    Each region is an Arrow IPC file (FixedShapeTensor, uncompressed, a row a frame from onset to offset, clips in the
    index's order), read as a read-only view of the mapped file. Raises UserError with every bad video; a file in the
    cache is whole or not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = content_digest(index)
    files = {region: folder / f"{region}-{digest([content, rule(region)])[:32]}.arrow" for region in regions}
    missing = [region for region, file in files.items() if not file.is_file()]
    if missing:
        for region, pixels in build(index, missing, progress).items():
            write(files[region], pixels)
    return assemble(index, {region: read(file) for region, file in files.items()})


def content_digest(index: ClipIndex) -> str:
    """What decides the pixels, for any region: the videos' bytes (never their paths), frames and face boxes."""
    rows = index.table.to_pylist()
    problems = [f"{index.root / row['source']}: no such video" for row in rows if not source(index, row).is_file()]
    if problems:
        raise UserError(problems)
    videos = {path: file_digest(path) for path in sorted({source(index, row) for row in rows})}
    clips = [[videos[source(index, row)], row["onset"], row["offset"], *face_box(row)] for row in rows]
    return digest([clips, decode.VERSION])


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def build(index: ClipIndex, regions: Sequence[str], progress: Progress | None) -> dict[str, Pixels]:
    """Decode every clip once and cut its regions, uint8 [R, S, S] each."""
    rows = index.table.to_pylist()
    total = sum(row["offset"] - row["onset"] + 1 for row in rows)
    pixels = {region: np.empty((total, MASTER[region], MASTER[region]), np.uint8) for region in regions}
    problems: list[str] = []
    at = 0
    for number, row in enumerate(rows, 1):
        try:
            for region, cuts in clip_regions(source(index, row), row, regions).items():
                pixels[region][at : at + len(cuts)] = cuts
        except UserError as error:
            problems += [f"clip {row['clip_id']}: {problem}" for problem in error.problems]
        at += row["offset"] - row["onset"] + 1
        if progress:
            progress(number, len(rows))
    if problems:
        raise UserError(problems)
    return pixels


def clip_regions(path: Path, row: dict[str, Any], regions: Sequence[str]) -> dict[str, Pixels]:
    """One clip's regions from onset to offset, uint8 [n, S, S] each. Raises UserError."""
    frames = decode.decode(path, row["onset"], row["offset"])
    box = face_box(row)
    face = None if box[0] is None else Box(*box)
    try:
        return {region: cut(frames, region, face) for region in regions}
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct face_left, face_top, face_width, face_height") from error


def write(file: Path, pixels: Pixels) -> None:
    """Write under a temporary name in the same folder and rename: the name never stands for half a file."""
    array = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)
    batch = pa.record_batch({"pixels": array})
    handle, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=file.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream, pa.ipc.new_file(stream, batch.schema) as writer:
            writer.write_batch(batch)
        draft.chmod(0o644)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def read(file: Path) -> Pixels:
    """A region's frames, uint8 [R, S, S]: a read-only view of the mapped file, without a copy."""
    table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    view: Pixels = table.column("pixels").chunk(0).to_numpy_ndarray()
    view.flags.writeable = False
    return view


def face_box(row: dict[str, Any]) -> list[Any]:
    """Left, top, width and height of a clip's face, all None where it is the whole frame."""
    return [row[f"face_{side}"] for side in Box._fields]


def source(index: ClipIndex, row: dict[str, Any]) -> Path:
    """A clip's video."""
    return index.root / row["source"]
