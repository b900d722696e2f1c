"""Landmarks: 68 points of a face (iBUG 300-W), read from files, and the similarity transform to a mean face.

Points are pixels of the frame, x then y; a whole number is the middle of a pixel.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError
from search_spaces.files import require_file
from study.data import csv_tables
from study.data.video import decode, video_files
from study.data.video.images import frame_number, image_files

POINTS = 68
MOST = 1000  # frames that a table may tell of for each of its rows
_TAIL = 2**16  # bytes at the end of a table in which its last row is: one of OpenFace has some thousand
BITS = 20  # of the fraction of a transform's numbers: rounded once, then all arithmetic is exact

Points = npt.NDArray[np.float64]  # [..., 68, 2]


def mean_face() -> Points:
    """A schematic face, symmetric, in the unit square [68, 2]: what aligned faces are turned and scaled to."""
    turn = np.linspace(0, np.pi, 17)
    jaw = np.stack([0.5 - 0.4 * np.cos(turn), 0.33 + 0.57 * np.sin(turn)], axis=1)
    across = np.linspace(0, 1, 5)
    brow = np.stack([0.18 + 0.24 * across, 0.24 - 0.05 * np.sin(np.pi * across)], axis=1)
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.32, 0.53, 4)], axis=1)
    base = np.stack([0.42 + 0.16 * across, 0.58 + 0.02 * np.sin(np.pi * across)], axis=1)
    eye = _ellipse(0.32, 0.34, 0.07, 0.025, 6)
    lips, opening = _ellipse(0.5, 0.74, 0.15, 0.06, 12), _ellipse(0.5, 0.74, 0.11, 0.02, 8)
    other_eye = _mirrored(eye)[[3, 2, 1, 0, 5, 4]]  # both eyes are numbered from the left
    return np.concatenate([jaw, brow, _mirrored(brow)[::-1], bridge, base, eye, other_eye, lips, opening])


def _ellipse(x: float, y: float, wide: float, high: float, count: int) -> Points:
    """Points from the left corner over the top."""
    turn = 2 * np.pi * np.arange(count) / count
    return np.stack([x - wide * np.cos(turn), y - high * np.sin(turn)], axis=1)


def _mirrored(points: Points) -> Points:
    return points * [-1, 1] + [1, 0]


class Warp(NamedTuple):
    """Where a canvas lies in a frame: point w of the canvas, as a complex number, is turn * w + shift."""

    turn: complex
    shift: complex


def similarity(points: Points, side: int) -> Warp:
    """The turn, scale and shift that bring the points [68, 2] nearest to the mean face on a canvas of this side.

    Least squares in complex numbers: in the plane it is Umeyama's solution (PAMI 13(4), 1991) without reflection.
    """
    own, mean = points @ [1, 1j], mean_face() @ [1, 1j] * side
    own_middle, mean_middle = own.mean(), mean.mean()
    spread = own - own_middle
    scale = (spread.conj() @ (mean - mean_middle)) / (spread.conj() @ spread).real
    return Warp(1 / scale, own_middle - mean_middle / scale)


def on_canvas(points: Points, warp: Warp) -> Points:
    """Points of the frame [68, 2] as points of the canvas."""
    moved = (points @ [1, 1j] - warp.shift) / warp.turn
    return np.stack([moved.real, moved.imag], axis=1)


def warped(frames: npt.NDArray[np.uint8], warp: Warp, side: int) -> npt.NDArray[np.uint8]:
    """Gray frames, uint8 [n, H, W], on the canvas [n, side, side]: bilinear, the frame's edge repeated beyond it.

    Whole numbers throughout, so that every CPU gives the same bytes.
    """
    height, width = frames.shape[1:]
    x, right, x_share = _between(warp.turn.real, -warp.turn.imag, warp.shift.real, side, width)
    y, below, y_share = _between(warp.turn.imag, warp.turn.real, warp.shift.imag, side, height)
    flat = frames.reshape(len(frames), -1).astype(np.int64)
    upper = flat[:, y * width + x] * (256 - x_share) + flat[:, y * width + right] * x_share
    lower = flat[:, below * width + x] * (256 - x_share) + flat[:, below * width + right] * x_share
    return ((upper * (256 - y_share) + lower * y_share + 2**15) // 2**16).astype(np.uint8)


def _between(by_x: float, by_y: float, shift: float, side: int, length: int) -> tuple[npt.NDArray[np.int64], ...]:
    """For each pixel of the canvas [side, side]: its place along one axis of the frame, of this length.

    That is the pixel before it, the one after, and how far it lies from the first, in 256ths.
    """
    x_step, y_step, start = (round(number * 2**BITS) for number in (by_x, by_y, shift))
    twice: npt.NDArray[np.int64] = 2 * np.arange(side) + 1  # the middle of the canvas's pixel k lies at k + 1/2
    twofold: npt.NDArray[np.int64] = x_step * twice[None, :] + y_step * twice[:, None] + 2 * start
    place = twofold >> (BITS + 1 - 8)
    place = np.clip(place, 0, (length - 1) * 256)
    before = place >> 8
    return before, np.minimum(before + 1, length - 1), place & 255


def read(path: Path, first: int, last: int, source: Path) -> Points:
    """Landmarks of frames first..last of a source [n, 68, 2]. Raises UserError with what is missing.

    path: a CSV as OpenFace writes it (frame from 1, or from 0 as py-feat counts, x_0 .. x_67, y_0 .. y_67, and perhaps
    success), an .npy with [frames, 68, 2], or a folder with an .npy [68, 2] for each frame (`point_files`). They are of
    all frames of the source: of another number, nobody knows which frame is whose.
    """
    points = _all(path, source, last)
    wanted = points[first : last + 1]
    if lost := [first + int(frame) for frame in np.flatnonzero(_faceless(wanted))]:
        raise UserError(f"{path}: no face was found in {len(lost)} frames of the clip ({_first(lost)}, counted from 0)")
    return wanted


def check_length(path: Path, source: Path) -> None:
    """Raise UserError where landmarks are of another number of frames than their source, if a glance shows it.

    What looks wrong is read whole, to be sure; a table that a glance does not understand is left to `read`.
    """
    count = _at_a_glance(path, source)
    if count is not None and _other_length(count, source):
        _all(path, source)


def _at_a_glance(path: Path, source: Path) -> int | None:
    """Frames of landmarks by their array's shape, their files, or the first and the last row of their table."""
    if path.is_dir():
        return len(point_files(path, source))
    if not path.is_file():
        return None
    if path.suffix == ".npy":
        return len(_mapped(path, 3))
    with path.open("rb") as file:
        header, first = file.readline(), file.readline()
        file.seek(max(0, path.stat().st_size - _TAIL))
        last = file.read().rstrip().rpartition(b"\n")[2]
    separator = max(csv_tables.DELIMITERS, key=lambda sign: header.count(sign.encode())).encode()
    names = [name.strip() for name in header.removeprefix(b"\xef\xbb\xbf").split(separator)]
    with suppress(ValueError, IndexError):
        start, end = (int(float(row.split(separator)[names.index(b"frame")])) for row in (first, last))
        return end + (start == 0)
    return None


def _all(path: Path, source: Path, last: int = -1) -> Points:
    """Landmarks of all frames of a source. Raises UserError where there are no others, or none of the frame `last`."""
    if path.is_dir():
        points = _from_folder(path, source)
    elif not path.is_file():
        raise UserError(f"{path}: there is no such file of landmarks; leave `landmarks` empty where there are none")
    else:
        points = _loaded(path, 3) if path.suffix == ".npy" else _from_csv(path, source)
    if len(points) <= last:
        raise UserError(f"{path}: has landmarks of {len(points)} frames, the annotation needs {last + 1}")
    if wrong := _other_length(len(points), source):
        raise UserError(f"{path}: has landmarks of {len(points)} frames, {wrong}; make them of the very source again")
    return points


def _other_length(count: int, source: Path) -> str | None:
    """What a source has instead of so many frames; None where it has as many, or is not there to ask.

    A video is decoded to be counted where its header says another number: headers may be wrong.
    """
    if source.is_dir():
        own = len(image_files(source))
    elif not source.is_file() or count == video_files.promised(source):
        return None
    else:
        own = decode.count(source)
    return None if own == count else f"{source} has {own}"


def _faceless(points: Points) -> npt.NDArray[np.bool_]:
    """The frames without a face: points that are no numbers, or all in one place, as the zeros of a tracker's miss."""
    return ~np.isfinite(points).all(axis=(1, 2)) | (points == points[:, :1]).all(axis=(1, 2))


def point_files(folder: Path, source: Path) -> list[Path]:
    """A folder's .npy files, one for each frame of the source. Raises UserError where it is not sure whose they are.

    Files are matched with a folder of images by their numbers, unless they are as many and counted from 0 or 1 without
    a gap; for a video they are in the order of their numbers, which may have none.
    """
    files = sorted(file for file in folder.glob("*.npy") if not file.name.startswith("."))  # macOS writes ._img1.npy
    numbered = {number: file for file in files if (number := frame_number(file)) is not None}
    if len(numbered) < len(files):
        raise UserError(f"{folder}: files without a number, or with the same; expected: one like img12.npy a frame")
    if not numbered:
        raise UserError(f"{folder}: holds no landmarks; expected: a file like img12.npy [68, 2] for each frame")
    gaps = [before + 1 for before, after in pairwise(sorted(numbered)) if after != before + 1]
    if source.is_dir():
        images = [frame_number(image) or 0 for image in image_files(source)]
        counted = not gaps and min(numbered) in (0, 1) and len(numbered) == len(images)
        if lost := [] if counted else [number for number in images if number not in numbered]:
            raise UserError(f"{folder}: lacks the landmarks of {len(lost)} images of {source}: {_first(lost)}")
        if not counted:
            return [numbered[number] for number in images]
    elif gaps:
        raise UserError(f"{folder}: lacks {_first(gaps)} between its files; expected: one for each frame of {source}")
    return [numbered[number] for number in sorted(numbered)]


def _first(numbers: Sequence[int]) -> str:
    """The first of some numbers, for a message."""
    return ", ".join(map(str, numbers[:5])) + (" ..." if len(numbers) > 5 else "")


def _loaded(path: Path, dimensions: int) -> Points:
    """The points of an .npy: [frames, 68, 2], or [68, 2] of one frame. Raises UserError."""
    return np.asarray(_mapped(path, dimensions), np.float64)


def _mapped(path: Path, dimensions: int) -> npt.NDArray[Any]:
    """The same as they are in the file, not read yet: its header may promise more than there is memory."""
    shape = "[frames, 68, 2]" if dimensions == 3 else "[68, 2]"
    require_file(path, f"an .npy with {shape}")
    try:
        points = np.load(path, mmap_mode="r")
    except Exception as error:  # NumPy raises whatever a header makes it stumble over: OSError, ValueError, EOFError
        raise UserError(f"{path}: not readable as an array ({error}); expected: .npy with {shape}") from error
    fits = isinstance(points, np.ndarray) and points.ndim == dimensions and points.shape[-2:] == (POINTS, 2)
    if not fits or not np.issubdtype(points.dtype, np.number):
        told = f"{points.dtype} {points.shape}" if isinstance(points, np.ndarray) else "no array"
        raise UserError(f"{path}: holds {told}; expected: numbers {shape}")
    return points


def _from_folder(path: Path, source: Path) -> Points:
    loaded: list[Points] = []
    problems: list[str] = []
    for file in point_files(path, source):
        try:
            loaded.append(_loaded(file, 2))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return np.stack(loaded)


def _in_order_of_names(path: Path, source: Path) -> None:
    """Raise UserError where a table's frames are not those of the images: OpenFace takes img10 before img9."""
    names = [image.name for image in image_files(source)] if source.is_dir() else []
    if wrong := [(own, by_name) for own, by_name in zip(names, sorted(names), strict=True) if own != by_name]:
        own, by_name = wrong[0]
        advice = "write all numbers of the images with the same digits and run it again, or give .npy files"
        raise UserError(f"{path}: OpenFace counts images by their names, in which {by_name} precedes {own}; {advice}")


def _from_csv(path: Path, source: Path) -> Points:
    """Rows by their frame; NaN for frames that have none or in which no face was found."""
    import pyarrow as pa
    from pyarrow import csv

    _in_order_of_names(path, source)
    require_file(path, "a table of landmarks")
    try:
        options = csv.ParseOptions(delimiter=csv_tables.delimiter(path))
        table = csv.read_csv(path, parse_options=options)
    except (pa.ArrowInvalid, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: not readable as CSV ({error}); expected: a table as OpenFace writes it") from error
    table = table.rename_columns([name.strip() for name in table.column_names])
    if twice := [name for name, times in Counter(table.column_names).items() if times > 1 and name]:
        raise UserError(f"{path}: columns that stand there twice: {', '.join(twice[:5])}; leave one of each")
    names = [f"{axis}_{point}" for axis in "xy" for point in range(POINTS)]
    if missing := [name for name in ("frame", *names) if name not in table.column_names]:
        raise UserError(
            f"{path}: {len(missing)} columns are missing ({missing[0]} first); expected: frame, x_0, .., y_67"
        )
    used = [name for name in table.column_names if name in {"frame", "success", *names}]
    columns = {name: _numbers(table[name], f"{path}, column {name}") for name in used}
    filled = ~np.isnan(np.stack(list(columns.values()))).all(axis=0)  # the others are empty rows at the end
    columns = {name: column[filled] for name, column in columns.items()}
    frames = _csv_frames(columns["frame"], path)
    if frames.max(initial=-1) >= MOST * max(len(frames), 1):
        raise UserError(f"{path}: has {len(frames)} rows, and one of frame {frames.max() + 1}; expected: a row a frame")
    points = np.full((int(frames.max(initial=-1)) + 1, POINTS, 2), np.nan)
    points[frames] = np.stack([columns[name] for name in names], axis=1).reshape(-1, 2, POINTS).swapaxes(1, 2)
    if "success" in columns:
        points[frames[columns["success"] == 0]] = np.nan
    return points


def _numbers(column: Any, where: str) -> npt.NDArray[np.float64]:
    """A column's numbers, NaN where it says nothing. Raises UserError."""
    import pyarrow as pa

    if not pa.types.is_string(column.type):
        try:
            return np.asarray(column, np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}: {error}; valid: numbers") from error
    found = []
    for text in (str(cell or "").strip() for cell in column.to_pylist()):
        try:
            found.append(np.nan if not text or text.lower() in csv_tables.NOTHING else csv_tables.number(text))
        except ValueError as error:
            raise UserError(f"{where}: {text!r} is no number; valid: numbers with a decimal point") from error
    return np.array(found, np.float64)


def _csv_frames(written: npt.NDArray[np.float64], path: Path) -> npt.NDArray[np.int64]:
    """A CSV's column frame as frames from 0: one that has a frame 0 counts from there. Raises UserError where it does
    not say which frame is whose.
    """
    if wrong := [f"{number:g}" for number in written if not (number == number // 1 and 0 <= number < 2**31)]:
        raise UserError(f"{path}: frame is {wrong[0]}; valid: whole numbers, the source's first frame is 1 (or 0)")
    frames, times = np.unique(written.astype(np.int64), return_counts=True)
    if (times > 1).any():
        twice = _first(frames[times > 1].tolist())
        raise UserError(f"{path}: frames that stand there twice: {twice}; leave one face for each frame")
    return written.astype(np.int64) - (0 if 0 in frames else 1)
