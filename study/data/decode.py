"""Decoding: a source's frames as gray, always in order from its first frame.

decord returns wrong frames, silently, when it seeks in open groups of pictures, edit lists and B-frames in AVI. In
order, decord and PyAV agree to the bit, and PyAV takes three quarters of the time: decord is the second opinion.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError
from study.data.images import image_files, read_image

VERSION = 2  # counts up when the same file would give other pixels
_LUMA = np.array([77, 150, 29], np.float32) / 256
CUT = 0.02  # a header may promise this share more than there is: writers count dropped frames, too

Gray = npt.NDArray[np.uint8]
Frame = npt.NDArray[np.uint8]  # RGB [H, W, 3], or gray [H, W]


class Held(NamedTuple):
    """Frames of a video without decoding it: what its header promises (0 where it says nothing), and coded frames."""

    promised: int
    coded: int


def frames(path: Path, first: int, last: int) -> Iterator[Frame]:
    """Frames first..last (both included, from 0) of a source, or those of them that there are, in order.

    path: a video, or a folder of images. Each is uint8: RGB [H, W, 3], or [H, W] of a gray image. Raises UserError,
    naming the file, when it is missing, empty, unreadable, or holds fewer frames than its header promises.
    """
    if path.is_dir():
        yield from map(read_image, image_files(path)[first : last + 1])
        return
    if not path.is_file():
        raise UserError(f"{path}: no such video, and no such folder of images")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes); copy it again from where it came")
    with readable(path):
        promised, coded = held(path)
        if coded < promised * (1 - CUT):
            raise UserError(f"{path}: is cut: its header says {promised} frames, it holds {coded}; copy it again")
        yield from islice(by_pyav(path), first, last + 1)


def check_end(path: Path, found: int, first: int, last: int) -> None:
    """Raise UserError unless all frames first..last were found."""
    if found <= last - first:
        have = count(path)
        raise UserError(f"{path}: has {have} frames, the annotation needs {last + 1} (frames are numbered from 0)")


def count(path: Path) -> int:
    """Frames that a source truly holds: all of them decoded, by PyAV; the images of a folder. Raises UserError."""
    if path.is_dir():
        return len(image_files(path))
    with readable(path):
        return sum(1 for _ in by_pyav(path))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What decoders raise, as a UserError that names the video."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: not readable as a video ({reason}); give a video that plays") from error


def held(path: Path) -> Held:
    """What a video's header promises and how many coded frames the file holds; nothing is decoded."""
    import av

    with av.open(str(path)) as container:
        stream = _picture(container)
        return Held(stream.frames, sum(packet.size > 0 for packet in container.demux(stream)))


def lost(path: Path) -> int:
    """How many frames a video's header promises and it does not hold; 0 where it says nothing. Raises UserError."""
    with readable(path):
        promised, coded = held(path)
        return max(0, promised - coded)


def by_pyav(path: Path) -> Iterator[Frame]:
    """RGB frames, uint8 [H, W, 3], by PyAV on one thread; upright where the file says how the camera was held."""
    import av

    with av.open(str(path)) as container:
        _picture(container).codec_context.thread_count = 1  # there is a process for each core
        for frame in container.decode(video=0):
            yield np.rot90(frame.to_ndarray(format="rgb24", threads=1), frame.rotation // 90)


def _picture(container: Any) -> Any:
    if not container.streams.video:
        raise OSError("it has no picture")
    return container.streams.video[0]


def by_decord(path: Path) -> Iterator[Frame]:
    """The same by decord, where it has a wheel. A video that ends early may repeat its last frame without a word."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)  # what is wrong with a file is told once, by us
    try:
        video = decord.VideoReader(str(path), num_threads=1)
        for _ in range(len(video)):
            yield video.next().asnumpy()
    except StopIteration:
        return
    except decord.DECORDError as error:
        raise OSError("decord cannot decode it") from error


def gray(frame: Frame) -> Gray:
    """Luma of RGB [H, W, 3]: (77 R + 150 G + 29 B + 128) >> 8 (BT.601, rounded). Gray stays itself.

    In float32 every sum is exact, whatever the order in which BLAS adds: they are 256ths below 256. Whatever memory a
    decoder shares is copied.
    """
    if frame.ndim == 2:
        return frame.copy()
    luma = frame.astype(np.float32) @ _LUMA
    luma += 0.5
    return luma.astype(np.uint8)
