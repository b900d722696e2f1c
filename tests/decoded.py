"""A source's frames as a clip's masters are cut from them."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from study.data.video.decode import Frame, Gray, by_pyav, check_end, frames, gray


def decode(path: Path, first: int, last: int, decoder: Callable[[Path], Iterator[Frame]] = by_pyav) -> Gray:
    """Frames first..last (both included, from 0), gray uint8 [n, H, W]."""
    by_the_rule = decoder is by_pyav or path.is_dir()
    found = frames(path, first, last) if by_the_rule else islice(decoder(path), first, last + 1)
    picked = [gray(frame) for frame in found]
    check_end(path, len(picked), first, last)
    return np.stack(picked)
