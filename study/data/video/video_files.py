"""Video files: which stream is the film, what its header says, and when each frame is shown. Nothing is decoded.

What cannot be taken as it is, is refused here: several films, a codec that nobody knows, pictures that fill the memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from search_spaces.errors import UserError
from search_spaces.files import require_file

LARGEST = 2**25  # pixels of a frame: 8K has 33.2 million, a bomb some hundred millions
DEEP = (  # one rule for images and videos: what a camera of 12 bits writes into 16 would keep 16 levels of gray
    "has pixels of more than 8 bits ({kind}); convert all files to 8 bits and all alike, from the darkest to the "
    "brightest value that they hold"
)
_JITTER = 0.1  # share of a frame's duration by which a steady rate's frames may be early or late

Times = tuple[float, ...]  # seconds from the first frame


class Held(NamedTuple):
    """Frames of a video without decoding it: what its header promises (0 where it says nothing), and coded frames.

    times: when each frame is shown; empty where the frame rate is steady, or the file does not say.
    """

    promised: int
    coded: int
    times: Times = ()

    @property
    def lost(self) -> int:
        """Frames that the header promises and the file does not hold."""
        return max(0, self.promised - self.coded)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What decoders raise, as a UserError that names the video."""
    import av

    try:
        yield
    except (av.FFmpegError, OSError, RuntimeError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).strip().partition("\n")[0]
        raise UserError(
            f"{path}: not readable as a video ({reason}); copy it again, or give a video that plays"
        ) from error


@contextmanager
def film(path: Path) -> Iterator[tuple[Any, Any]]:
    """A video's container and its film, the one stream of pictures that is no cover. Raises UserError."""
    import av

    require_file(path, "a video, or a folder of images")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes); copy it again from where it came")
    # FFmpeg takes 08:15:30.avi for a protocol. To say what a file holds it decodes a picture, unless that is large.
    with readable(path), av.open(str(path.absolute()), options={"max_pixels": str(LARGEST)}) as container:
        yield container, _film(path, container.streams.video)


def _film(path: Path, streams: Sequence[Any]) -> Any:
    """The one stream that is no cover, preview or still. Raises UserError, and ValueError where there is none."""
    from av.stream import Disposition

    beside = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    films = [stream for stream in streams if not stream.disposition & beside]
    if not films:
        raise ValueError("it has no picture" + " but a cover" * bool(streams))
    if len(films) > 1:
        told = ", ".join(f"stream {stream.index}: {_size(stream)}" for stream in films)
        remedy = f"keep the one that is annotated: ffmpeg -i FILE -map 0:{films[0].index} -c copy NEW"
        raise UserError(f"{path}: holds {len(films)} films ({told}), and which is meant cannot be told; {remedy}")
    (own,) = films
    if own.codec_context is None:
        raise ValueError("its codec is none that FFmpeg knows")
    context = own.codec_context
    if not 0 < context.width * context.height <= LARGEST:
        raise UserError(f"{path}: {too_large(context.width, context.height)}")
    if context.format is not None:
        require_8_bits(path, context.format.name)
    return own


def _size(stream: Any) -> str:
    context = stream.codec_context
    return "unknown codec" if context is None else f"{context.name} {context.width} x {context.height}"


def too_large(width: int, height: int) -> str:
    """What is said of pictures of more pixels than LARGEST, or of a size that is not found out for that."""
    size = f"have {width} x {height} pixels" if width and height else "are damaged, or too large"
    return f"its pictures {size}; valid: at most {LARGEST:,} pixels, which is 8K"


def require_8_bits(path: Path, pixels: str) -> None:
    """Raise UserError where one of FFmpeg's pixel formats has components of more than 8 bits."""
    if _depth(pixels) > 8:
        raise UserError(f"{path}: {DEEP.format(kind=pixels)}")


@cache
def _depth(pixels: str) -> int:
    import av

    return max(component.bits for component in av.VideoFormat(pixels).components)


def held(path: Path) -> Held:
    """What a video's header promises, and the coded frames that the file holds. Raises UserError."""
    with film(path) as (container, stream):
        stamps = [packet.pts for packet in container.demux(stream) if packet.size and not packet.is_discard]
        return Held(_promised(container, stream), len(stamps), uneven(stamps, stream.time_base))


def length(path: Path) -> int:
    """Frames of a video as its header says, or as the file holds where the header says nothing. Raises UserError."""
    return promised(path) or held(path).coded


def promised(path: Path) -> int:
    """Frames of a video as its header says, 0 where it says nothing. Raises UserError."""
    with film(path) as (container, stream):
        return _promised(container, stream)


def _promised(container: Any, stream: Any) -> int:
    """Frames that a header promises to show: of an MP4 without those that its edit list leaves out."""
    if "mp4" not in container.format.name:
        return int(stream.frames)
    return min(stream.frames, sum(not entry.is_discard for entry in stream.index_entries))


def uneven(stamps: Sequence[int | None], tick: Fraction) -> Times:
    """Seconds from the first frame, in the order shown, where they are not as far apart as each other; else empty.

    stamps: in units of `tick`. Times rounded to a tick, and frames that are a little early or late, count as steady.
    """
    known = np.array(sorted(stamp for stamp in stamps if stamp is not None), np.int64)
    if len(known) < len(stamps) or len(known) < 3:
        return ()
    known -= known[0]
    steady = np.linspace(0, known[-1], len(known))
    if np.abs(known - steady).max() <= max(1.0, _JITTER * steady[1]):
        return ()
    return tuple(float(stamp * tick) for stamp in known.tolist())
