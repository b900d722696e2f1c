"""Folders of images: a clip's frames as its dataset ships them, in the numeric order of their names."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff")


def image_files(folder: Path) -> list[Path]:
    """A folder's images by the last number in their stem: img1, img2, img10. Other files are not looked at.

    Raises UserError where a name has no number, or two files have the same.
    """
    numbered: dict[int, Path] = {}
    problems = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        number = frame_number(path)
        if number is None:
            problems.append(f"{path}: no number in the name says which frame it is; name it like img12{path.suffix}")
        elif number in numbered:
            problems.append(f"{path}: is frame {number}, and so is {numbered[number].name}; remove one of them")
        else:
            numbered[number] = path
    if problems:
        raise UserError(problems)
    if not numbered:
        raise UserError(f"{folder}: holds no images; valid: {', '.join(SUFFIXES)}")
    return [numbered[number] for number in sorted(numbered)]


def frame_number(path: Path) -> int | None:
    """The last number in a file's stem, None where there is none."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else None


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """An image, uint8: [H, W] as stored where it is gray, else RGB [H, W, 3]. Raises UserError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise UserError(f"{path}: has pixels of more than 8 bits ({image.mode}); convert it to 8-bit gray")
            return np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: is not an image; copy it again from where it came") from error
    except (OSError, SyntaxError) as error:  # Pillow's word for a broken PNG is SyntaxError
        raise UserError(f"{path}: not readable as an image ({error}); copy it again from where it came") from error
