"""Folded training against the loop that is usually written (nn.Conv3d, fold by fold): the same work, in turns.

    python benchmarks/training.py

Prints CPU-seconds per fold and epoch on one thread, medians of the repetitions, and their ratio.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces.config import TrialConfig
from study.data.clips import Clips
from study.data.sampling import sample
from study.memory import tune_malloc
from study.models.geometry import geometry
from study.protocol import Fold, loso
from study.training import batches, train

REPETITIONS = 3
SETTINGS = {
    "demo: 8 x 32 x 32, 8 filters 3x3x3": TrialConfig(
        crop=32, frames=8, filters=8, kernel_time=3, hidden=16, dropout=0.2, momentum=0.9, epochs=2
    ),
    "16 x 32 x 32, 32 filters 5x3x3": TrialConfig(crop=32, frames=16, kernel_time=5, momentum=0.9, epochs=2),
    "SMIC of the paper: 18 x 64 x 64, 32 filters 15x3x3": TrialConfig(momentum=0.9, epochs=4),
}


def main() -> None:
    tune_malloc()
    torch.set_num_threads(1)
    clips = noise()
    folds = loso(clips, 0)[:4]
    for name, config in SETTINGS.items():
        plain, folded = [], []
        for _ in range(REPETITIONS):
            plain.append(seconds(lambda config=config: loop(config, clips, folds)))
            folded.append(seconds(lambda config=config: train(config, clips, folds)))
        each = len(folds) * config.epochs
        a, b = statistics.median(plain) / each, statistics.median(folded) / each
        print(
            f"{name}: loop {a:.3f} s, folded in a group of {len(folds)} {b:.3f} s a fold and epoch; ratio {a / b:.2f}"
        )


def seconds(work: Callable[[], object]) -> float:
    """CPU-seconds of this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


def noise(count: int = 48, subjects: int = 8, size: int = 64) -> Clips:
    """Clips of random pixels: what is measured does not depend on what they show."""
    draw = np.random.default_rng(0)
    frames = np.full(count, 30)
    return Clips(
        ids=np.array([f"clip{i:03d}" for i in range(count)]),
        subjects=np.array([f"s{i % subjects}" for i in range(count)]),
        labels=draw.integers(0, 3, count),
        classes=("negative", "positive", "surprise"),
        first=np.arange(count) * 30,
        frames=frames,
        apex=frames // 2,
        fps=np.full(count, 100.0),
        pixels={"face": draw.integers(0, 256, (count * 30, size, size), dtype=np.uint8)},
        digests={"index": "noise"},
    )


def loop(config: TrialConfig, clips: Clips, folds: list[Fold]) -> None:
    """Clips in memory, normalised once a fold; a network and an optimiser of its own for every fold."""
    pixels = torch.tensor(sample(clips, config, 0)["face"]).float()[:, None]
    labels = torch.from_numpy(clips.labels)
    names = list(zip(clips.subjects.tolist(), clips.ids.tolist(), strict=True))
    for fold in folds:
        trained_on = torch.from_numpy(fold.train)
        inputs = (pixels - pixels[trained_on].mean()) / pixels[trained_on].std()
        network = plain(config)
        optimiser = torch.optim.SGD(network.parameters(), config.learning_rate, config.momentum, fused=True)
        for rows in batches(names, fold.seed, config.epochs, config.batch_size):
            mine = torch.from_numpy(rows)[trained_on[rows]]
            optimiser.zero_grad()
            F.cross_entropy(network(inputs[mine]), labels[mine]).backward()
            optimiser.step()
        with torch.inference_mode():
            network.eval()(inputs[torch.from_numpy(fold.test)])


def plain(config: TrialConfig) -> nn.Module:
    """The paper's full-face network (arXiv 1904.01390)."""
    (face,) = geometry(config, 3).streams
    kernel = (config.kernel_time, config.kernel_space, config.kernel_space)
    return nn.Sequential(
        nn.Conv3d(1, config.filters, kernel),
        nn.ReLU(),
        nn.MaxPool3d(3),
        nn.Dropout(config.dropout),
        nn.Flatten(),
        nn.Linear(face.features, config.hidden),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, 3),
    )


if __name__ == "__main__":
    main()
