"""Clips of a patch that moves by the class, as images of whole numbers: the same bytes on every machine.

The ledger of tests/study/older was trained on them: whoever changes them must leave those of one dataset as they are.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SUBJECTS, CLIPS, FRAMES, SIDE = 6, 5, 8, 48
LABELS = ("negative", "positive", "surprise")


def write(folder: Path, datasets: Sequence[str] = ("",)) -> None:
    """A manifest and a folder of gray PNG images a clip; subjects of several datasets have the same names in each."""
    columns = "clip_id,subject,label,onset,apex,offset,fps,source"
    lines = [columns + ",dataset" * (len(datasets) > 1)]
    for number, dataset in enumerate(datasets):
        for subject in range(SUBJECTS):
            for clip in range(CLIPS):
                name, kind = f"s{subject}_{clip}", (subject + clip) % 3
                source = f"{dataset}/{name}".lstrip("/")
                _images(folder / source, subject + 7 * number, clip, kind)
                row = f"{name},s{subject},{LABELS[kind]},0,4,{FRAMES - 1},100,{source}"
                lines.append(row + f",{dataset}" * (len(datasets) > 1))
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")


def _images(folder: Path, subject: int, clip: int, kind: int) -> None:
    folder.mkdir(parents=True)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for frame in range(FRAMES):
        texture = (rows * (subject + 3) + columns * (clip + 5)) * 2654435761 % 64
        patch = abs(rows - 24 - (kind - 1) * 2 * frame) + abs(columns - 24) < 6
        picture = np.where(patch, 220, 80 + texture).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{frame:03}.png")
