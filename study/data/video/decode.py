"""Decoding: a source's frames as gray, always in order from its first frame.

decord returns wrong frames, silently, when it seeks in open groups of pictures, edit lists and B-frames in AVI. In
order, decord and PyAV agree to the bit, and PyAV takes three quarters of the time: decord is the second opinion.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError
from study.data.video.images import image_files, read_image
from study.data.video.video_files import film, held, require_8_bits

VERSION = 3  # counts up when the same file would give other pixels
_LUMA = np.array([77, 150, 29], np.float32) / 256
CUT = 0.02  # a header may promise this share more than there is: writers count dropped frames, too

Gray = npt.NDArray[np.uint8]
Frame = npt.NDArray[np.uint8]  # RGB [H, W, 3], or gray [H, W]


def frames(path: Path, first: int, last: int) -> Iterator[Frame]:
    """Frames first..last (both included, from 0) of a source, or those of them that there are, in order.

    path: a video, or a folder of images. Each is uint8: RGB [H, W, 3], or [H, W] of a gray image. Raises UserError,
    naming the file, when it is missing, empty, unreadable, or holds fewer frames than its header promises.
    """
    if path.is_dir():
        yield from map(read_image, image_files(path)[first : last + 1])
        return
    if not path.exists():
        raise UserError(f"{path}: no such video, and no such folder of images")
    promised, coded, _ = held(path)
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
    return len(image_files(path)) if path.is_dir() else sum(1 for _ in by_pyav(path))


def by_pyav(path: Path) -> Iterator[Frame]:
    """RGB frames, uint8 [H, W, 3], by PyAV on one thread; turned and mirrored as the file says of the first one.

    Raises UserError, also where pixels have more than 8 bits.
    """
    shown = None
    with film(path) as (container, stream):
        stream.codec_context.thread_count = 1  # there is a process for each core
        for frame in container.decode(stream):
            require_8_bits(path, frame.format.name)
            shown = shown or Turn.of(frame, stream.codec_context.name)
            yield shown.upright(frame.to_ndarray(format="rgb24", threads=1))


class Turn(NamedTuple):
    """How a picture is shown: a pixel at (x, y) goes to (a x + c y, b x + d y), as in FFmpeg's display matrix."""

    a: int
    b: int
    c: int
    d: int

    @classmethod
    def of(cls, frame: Any, codec: str) -> "Turn":
        """What PyAV's frame says. Its side data keep the frame alive until Python collects cycles: ask of one frame."""
        matrix = None
        if codec not in ("apng", "png"):  # PyAV 18 frees the name of a PNG's colour profile twice
            with suppress(ValueError):  # a kind of side data that PyAV has no name for
                matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return _QUARTERS[round(frame.rotation / 90) % 4]
        a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
        return cls(a, b, c, d)

    def upright(self, frame: Frame) -> Frame:
        """A frame turned to the nearest quarter, and mirrored where it is to be mirrored."""
        if lies := abs(self.b) + abs(self.c) > abs(self.a) + abs(self.d):
            frame = frame.swapaxes(0, 1)
        across, down = (self.c, self.b) if lies else (self.a, self.d)
        return frame[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]

    @property
    def is_quarters(self) -> bool:
        """Whether it is a whole number of quarter turns without a mirror, which decord knows."""
        return (self.a, self.b) == (self.d, -self.c) and 0 in (self.a, self.b)


_QUARTERS = (Turn(1, 0, 0, 1), Turn(0, -1, 1, 0), Turn(-1, 0, 0, -1), Turn(0, 1, -1, 0))  # anticlockwise


def turns_as_decord(path: Path) -> bool:
    """Whether decord shows a video turned as PyAV does here."""
    with film(path) as (container, stream):
        frame = next(container.decode(stream), None)
        return frame is None or Turn.of(frame, stream.codec_context.name).is_quarters


def by_decord(path: Path) -> Iterator[Frame]:
    """The same by decord, where it has a wheel. A video that ends early may repeat its last frame without a word."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)  # what is wrong with a file is told once, by us
    try:
        video = decord.VideoReader(str(path.absolute()), num_threads=1)
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
