"""Decoding: a clip's frames as gray, always in order from the video's first frame.

decord returns wrong frames, silently, when it seeks in open groups of pictures, edit lists and B-frames in AVI. In
order, decord and PyAV agree to the bit.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError

VERSION = 1  # counts up when the same file would give other pixels

Gray = npt.NDArray[np.uint8]
Decoder = Callable[[Path], Iterator[npt.NDArray[np.uint8]]]


def decode(path: Path, first: int, last: int, decoder: Decoder | None = None) -> Gray:
    """Frames first..last (both included, from 0) of a video, gray uint8 [n, H, W].

    decoder: `by_decord` or `by_pyav`; by default decord where it is installed. Raises UserError when the file is
    missing, empty or unreadable, or has fewer frames.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such video")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes); copy it again from where it came")
    try:
        picked = [gray(frame) for frame in islice((decoder or default_decoder())(path), first, last + 1)]
        if ends_early(path, picked, first, last):
            have = count(path)
            raise UserError(f"{path}: has {have} frames, the annotation needs {last + 1} (frames are numbered from 0)")
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: not readable as a video ({reason}); give a video that plays") from error
    return np.stack(picked)


def ends_early(path: Path, picked: list[Gray], first: int, last: int) -> bool:
    """Whether frames are missing; where a video ends early decord may repeat its last frame without a word."""
    if len(picked) <= last - first:
        return True
    return len(picked) > 1 and np.array_equal(picked[-1], picked[-2]) and count(path) <= last


def count(path: Path) -> int:
    """Frames that a video truly holds: all of them decoded."""
    return sum(1 for _ in by_pyav(path))


def default_decoder() -> Decoder:
    """decord where it is installed, PyAV where it has no wheel (Linux arm64, every Mac)."""
    return by_decord if find_spec("decord") else by_pyav


def by_decord(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """RGB frames, uint8 [H, W, 3], by decord on one thread (its pool costs 2-4 times the CPU)."""
    import decord

    try:
        video = decord.VideoReader(str(path), num_threads=1)
        for _ in range(len(video)):
            yield video.next().asnumpy()
    except StopIteration:
        return
    except decord.DECORDError as error:
        raise OSError("decord cannot decode it") from error


def by_pyav(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """RGB frames, uint8 [H, W, 3], by PyAV."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def gray(rgb: npt.NDArray[np.uint8]) -> Gray:
    """Luma of RGB [H, W, 3] in whole numbers: (77 R + 150 G + 29 B + 128) >> 8 (BT.601, rounded)."""
    red, green, blue = (rgb[..., channel].astype(np.uint16) for channel in range(3))
    return ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)
