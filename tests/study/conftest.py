from collections.abc import Callable

import numpy as np
import pytest
import torch

from study.data.clips import Clips


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def random_clips() -> Callable[..., Clips]:
    """Clips of noise in the shapes of real input: three classes, every region, 9 to 15 frames."""

    def make(count: int = 20, subjects: int = 4, size: int = 32, seed: int = 0) -> Clips:
        draw = np.random.default_rng(seed)
        frames = draw.integers(9, 16, count)
        sides = {"face": size, "frame": size, "eyes": size // 2, "mouth": size // 2}
        return Clips(
            ids=np.array([f"clip{i:02d}" for i in range(count)]),
            subjects=np.array([f"s{i * subjects // count}" for i in range(count)]),
            labels=draw.integers(0, 3, count),
            classes=("negative", "positive", "surprise"),
            first=np.cumsum([0, *frames[:-1]]),
            frames=frames,
            apex=frames // 2,
            fps=np.full(count, 100.0),
            pixels={r: draw.integers(0, 256, (frames.sum(), s, s), dtype=np.uint8) for r, s in sides.items()},
            digests={"index": str(seed)},
        )

    return make
