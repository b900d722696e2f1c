"""Writing the synthetic dataset: video files, annotation and truth, in a folder shaped like a real dataset."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.csv

from search_spaces.errors import UserError
from study.data.synthetic.dataset import FPS, Synthetic, clips, index_of
from study.data.synthetic.planted_answer import truth
from study.data.synthetic.renderer import FRAME, render

Progress = Callable[[int, int], None]  # clips done, clips in all

# Encoder, pixel format and options by codec: good enough that five pixels of motion survive.
ENCODERS = {
    "h264": ("libx264", "yuv420p", {"crf": "12", "preset": "ultrafast", "bf": "2"}),
    "mjpeg": ("mjpeg", "yuvj420p", {"qmin": "2", "qmax": "2"}),
    "mpeg4": ("mpeg4", "yuv420p", {"qmin": "2", "qmax": "2"}),
}


def synthesize(folder: Path, spec: Synthetic, progress: Progress | None = None) -> None:
    """Write the dataset: rawvideo/SUBJECT/CLIP.{mp4,avi}, clips.csv, truth.json.

    The folder appears whole or not at all. Raises UserError when it is there already.
    """
    if folder.exists():
        raise UserError(f"{folder}: is there already; give a new folder, or delete it first")
    make(folder, spec, progress)


def make(folder: Path, spec: Synthetic, progress: Progress | None = None) -> None:
    """Write the dataset unless it is there. Of two processes that do so at the same time, the first one's stays."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(draft, spec, progress)
        draft.chmod(0o755)
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, and wrote the same
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write(folder: Path, spec: Synthetic, progress: Progress | None) -> None:
    """The dataset's files."""
    everything = clips(spec)
    for number, one in enumerate(everything, 1):
        target = folder / one.source
        target.parent.mkdir(parents=True, exist_ok=True)
        encode(target, render(one.subject, one.motion), one.codec)
        if progress:
            progress(number, len(everything))
    pyarrow.csv.write_csv(index_of(spec).table, folder / "clips.csv")
    (folder / "truth.json").write_text(json.dumps(truth(spec), indent=1) + "\n")


def encode(path: Path, frames: npt.NDArray[np.uint8], codec: str) -> None:
    """Gray frames, uint8 [T, 176, 176], as a video file; by one thread: the bytes depend on their number."""
    import av

    encoder, pixels, options = ENCODERS[codec]
    with av.open(str(path), "w") as container:
        video = container.add_stream(encoder, rate=int(FPS), options=options)
        video.width = video.height = FRAME
        video.pix_fmt = pixels
        video.codec_context.thread_count = 1
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="gray").reformat(format=pixels)))
        container.mux(video.encode())
