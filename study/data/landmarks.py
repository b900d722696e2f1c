"""Landmarks: 68 points of a face (iBUG 300-W), read from files, and the similarity transform to a mean face.

Points are pixels of the frame, x then y; a whole number is the middle of a pixel.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError
from study.data.images import frame_number

POINTS = 68
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


def read(path: Path, first: int, last: int) -> Points:
    """Landmarks of frames first..last of a source [n, 68, 2]. Raises UserError with what is missing.

    path: a CSV as OpenFace writes it (frame from 1, x_0 .. x_67, y_0 .. y_67, and perhaps success), an .npy with
    [frames, 68, 2], or a folder with an .npy [68, 2] for each frame, in the numeric order of their names.
    """
    if path.is_dir():
        points = _from_folder(path)
    elif not path.is_file():
        raise UserError(f"{path}: there is no such file of landmarks; leave `landmarks` empty where there are none")
    else:
        points = _from_array(path) if path.suffix == ".npy" else _from_csv(path)
    if len(points) <= last:
        raise UserError(f"{path}: has landmarks of {len(points)} frames, the annotation needs {last + 1}")
    wanted = points[first : last + 1]
    if lost := [first + int(frame) for frame in np.flatnonzero(~np.isfinite(wanted).all(axis=(1, 2)))]:
        named = ", ".join(map(str, lost[:5])) + (" ..." if len(lost) > 5 else "")
        raise UserError(f"{path}: no face was found in {len(lost)} frames of the clip ({named}, counted from 0)")
    return wanted


def _from_array(path: Path) -> Points:
    try:
        points = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not readable as an array ({error}); expected: .npy with [frames, 68, 2]") from error
    if points.shape[-2:] != (POINTS, 2) or points.ndim != 3 or not np.issubdtype(points.dtype, np.number):
        raise UserError(f"{path}: holds {points.dtype} {points.shape}; expected: numbers [frames, 68, 2]")
    return points.astype(np.float64)


def _from_folder(path: Path) -> Points:
    files = sorted((file for file in path.glob("*.npy") if frame_number(file) is not None), key=frame_number)  # type: ignore[arg-type]
    if not files:
        raise UserError(f"{path}: holds no landmarks; expected: a file like img12.npy [68, 2] for each frame")
    loaded = [np.load(file) for file in files]
    if wrong := [
        f"{f}: holds {p.shape}; expected: [68, 2]" for f, p in zip(files, loaded, strict=True) if p.shape != (POINTS, 2)
    ]:
        raise UserError(wrong)
    return np.stack(loaded).astype(np.float64)


def _from_csv(path: Path) -> Points:
    """Rows by their frame; NaN for frames that have none or in which no face was found."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not readable as CSV ({error}); expected: a table as OpenFace writes it") from error
    table = table.rename_columns([name.strip() for name in table.column_names])
    names = [f"{axis}_{point}" for axis in "xy" for point in range(POINTS)]
    if missing := [name for name in ("frame", *names) if name not in table.column_names]:
        raise UserError(
            f"{path}: {len(missing)} columns are missing ({missing[0]} first); expected: frame, x_0, .., y_67"
        )
    columns: dict[str, Any] = {
        name: np.asarray(table[name], np.float64) for name in table.column_names if name in {"frame", "success", *names}
    }
    frames = columns["frame"].astype(np.int64) - 1
    points = np.full((int(frames.max(initial=-1)) + 1, POINTS, 2), np.nan)
    points[frames] = np.stack([columns[name] for name in names], axis=1).reshape(-1, 2, POINTS).swapaxes(1, 2)
    if "success" in columns:
        points[frames[columns["success"] == 0]] = np.nan
    return points
