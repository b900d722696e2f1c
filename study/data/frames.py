"""Image folders: which files of a folder are its frames, in which order. Readers and decoding agree through this."""

import re
from pathlib import Path

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})


def frame_files(folder: Path) -> list[tuple[int, Path]]:
    """A folder's frames: each image's number and file, in the order of the numbers.

    The number is the last one in the stem (reg_img46.jpg: 46; 006_05562.jpg: 5562), because neither the folder's own
    order nor that of the names (img9 after img10) is time's. Other files, and images without a number, are no frames.
    """
    numbered = [(number(path.stem), path) for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    return sorted((found, path) for found, path in numbered if found is not None and not path.name.startswith("."))


def number(stem: str) -> int | None:
    """The last whole number in a file's stem, None where it has none."""
    digits = re.findall(r"[0-9]+", stem)
    return int(digits[-1]) if digits else None
