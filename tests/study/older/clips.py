"""Clips of the study whose ledger lies beside this file: images of whole numbers, the same on every machine."""

from pathlib import Path

import numpy as np
from PIL import Image

SUBJECTS, CLIPS, FRAMES, SIDE = 6, 5, 8, 48
LABELS = ("negative", "positive", "surprise")


def write(folder: Path) -> None:
    """A manifest of 30 clips, folders of gray PNG images, with a patch that moves by the class."""
    lines = ["clip_id,subject,label,onset,apex,offset,fps,source"]
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for subject in range(SUBJECTS):
        for clip in range(CLIPS):
            name, kind = f"s{subject}_{clip}", (subject + clip) % 3
            (folder / name).mkdir(parents=True)
            for frame in range(FRAMES):
                texture = (rows * (subject + 3) + columns * (clip + 5)) * 2654435761 % 64
                patch = abs(rows - 24 - (kind - 1) * 2 * frame) + abs(columns - 24) < 6
                picture = np.where(patch, 220, 80 + texture).astype(np.uint8)
                Image.fromarray(picture).save(folder / name / f"{frame:03}.png")
            lines.append(f"{name},s{subject},{LABELS[kind]},0,4,{FRAMES - 1},100,{name}")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
