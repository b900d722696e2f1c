"""Small videos of a bright bar that moves, with what a header may say of them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

SIZE = (64, 48)  # width, height


def picture(number: int, width: int, height: int) -> np.ndarray:
    """Gray with a bright bar at the place of a frame's number. RGB [height, width, 3]."""
    made = np.full((height, width, 3), 80, np.uint8)
    made[: height // 3, 2 * number % width : 2 * number % width + 6] = 250
    return made


def film(
    path: Path,
    codec: str = "mpeg4",
    frames: int = 12,
    sizes: Sequence[tuple[int, int]] = (SIZE,),
    pixels: str = "yuv420p",
    turn: dict | None = None,
    beside: Disposition | None = None,
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video with a stream of each size; the first is `beside` the film, e.g. its cover, of one frame.

    turn: arguments of PyAV's set_display_rotation. times: of the frames, in milliseconds.
    """
    with av.open(str(path), "w") as out:
        streams = []
        for number, (width, height) in enumerate(sizes):
            stream = out.add_stream("mjpeg" if beside and not number else codec, rate=25, options=options or {})
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if stream.codec_context.name == "mjpeg" else pixels
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            if beside and not number:
                stream.disposition = beside
            if turn:
                stream.set_display_rotation(**turn)
            streams.append(stream)
        for place in range(frames):
            for stream in streams[1 if beside and place else 0 :]:
                frame = av.VideoFrame.from_ndarray(picture(place, stream.width, stream.height), format="rgb24")
                frame = frame.reformat(format=stream.pix_fmt)
                if times is not None:
                    frame.pts, frame.time_base = times[place], Fraction(1, 1000)
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return path
