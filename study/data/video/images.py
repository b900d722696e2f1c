"""Folders of images: a clip's frames as its dataset ships them, in the numeric order of their names."""

import os
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError
from search_spaces.files import require_file, wrong_kind
from search_spaces.spelling import spelling
from study.data.video.video_files import DEEP, LARGEST, too_large

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff")

_NUMBER = re.compile(r"(\d+)")
_DECIMAL = re.compile(r"\d[.,]\d+\D*$")  # the last number may be the decimals of the one before it


def image_files(folder: Path) -> list[Path]:
    """A folder's images by the last number in their stem: img1, img2, img10. Other and hidden files are not looked at.

    Raises UserError where a name has no number, two files have the same, or the numbers do not tell the order.
    """
    numbered: dict[int, Path] = {}
    problems = []
    for path, is_file in _images(folder):
        number = frame_number(path)
        if not is_file:
            problems.append(f"{path}: is {wrong_kind(path) or 'no file'}; expected: an image")
        elif number is None:
            problems.append(f"{path}: no number in the name says which frame it is; name it like img12{path.suffix}")
        elif number in numbered:
            problems.append(f"{path}: is frame {number}, and so is {numbered[number].name}; remove one of them")
        else:
            numbered[number] = path
    if problems:
        raise UserError(problems)
    if not numbered:
        raise UserError(f"{folder}: holds no images; valid: {', '.join(SUFFIXES)}")
    ordered = [numbered[number] for number in sorted(numbered)]
    if wrong := _no_order(ordered):
        remedy = f"move away what is no frame of it, or name the frames by one number, img0001{ordered[0].suffix}"
        raise UserError(f"{folder}: the last number of a name does not tell the order of the images: {wrong}; {remedy}")
    return ordered


def _images(folder: Path) -> list[tuple[Path, bool]]:
    """What is named as an image in a folder, and whether it is a file; none of macOS's companions `._img1.jpg`."""
    with os.scandir(folder) as entries:
        named = sorted((entry.name, entry.is_file()) for entry in entries if not entry.name.startswith("."))
    paths = [(folder / name, is_file) for name, is_file in named]
    return [(path, is_file) for path, is_file in paths if path.suffix.lower() in SUFFIXES]


def _no_order(ordered: Sequence[Path]) -> str | None:
    """Why files do not follow one another by the last number of their stem; None where they do."""
    before = {"".join(_NUMBER.split(path.stem)[:-2]): path for path in ordered}  # what stands before the last number
    first, *others = before
    if other := next((one for one in others if spelling(one) != spelling(first)), None):
        return f"another number or word stands before it in {before[first].name} and {before[other].name}"
    if _DECIMAL.search(ordered[0].stem) and not _counted(ordered):
        for path, after in pairwise(ordered):
            if _decimals(path) > _decimals(after):
                return f"as decimals, {after.name} comes before {path.name}"
    return None


def _counted(ordered: Sequence[Path]) -> bool:
    """Whether what looks like decimals counts images, 1.9 and 1.10: nobody writes a time as 1.9 and another as 1.10."""
    last = [_NUMBER.findall(path.stem)[-1] for path in ordered]
    return any(digits.endswith("0") and len(digits) > min(map(len, last)) for digits in last)


def _decimals(path: Path) -> float:
    """The last number of a stem as the decimals of the one before it."""
    return float(f"0.{_NUMBER.findall(path.stem)[-1]}")


def frame_number(path: Path) -> int | None:
    """The last number in a file's stem, None where there is none."""
    numbers = _NUMBER.findall(path.stem)
    return int(numbers[-1]) if numbers else None


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """An image, uint8: [H, W] as stored where it is gray, else RGB [H, W, 3]; turned as its EXIF says.

    Raises UserError.
    """
    from PIL import Image, UnidentifiedImageError

    require_file(path, "an image")
    try:
        # Opened by its name, a TIFF that lies on its side is mapped into memory as if it stood: its rows are mixed up.
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of damaged EXIF
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(stream)
            if image.width * image.height > LARGEST:
                raise UserError(f"{path}: {too_large(image.width, image.height)}")
            if is_deep(image):
                raise UserError(f"{path}: {DEEP.format(kind=f'{image.format} {image.mode}')}")
            image.load()
            _turn(image)
            return np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: is not an image; copy it again from where it came") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{path}: is too large for a frame ({error}); valid: at most {LARGEST:,} pixels") from error
    except Exception as error:  # Pillow's parsers raise whatever they stumble over: SyntaxError, struct.error, KeyError
        raise UserError(f"{path}: not readable as an image ({error}); copy it again from where it came") from error


def _turn(image: Any) -> None:
    """Turn and mirror an image as its EXIF says it is to be shown: so do OpenCV, by which landmarks are found, and
    viewers, by which frames are annotated. What is damaged there says nothing.
    """
    from PIL import ImageOps

    with suppress(Exception):  # EXIF's parser raises whatever it stumbles over
        ImageOps.exif_transpose(image, in_place=True)


def is_deep(image: Any) -> bool:
    """Whether an image, not loaded yet, has pixels of more than 8 bits; of colours Pillow would keep the upper 8."""
    if image.mode.startswith(("I", "F")):
        return True
    given = [part for tile in image.tile for part in (tile.args if isinstance(tile.args, tuple) else (tile.args,))]
    of_png = any(isinstance(part, str) and re.search(";16[BLN]", part) for part in given)
    of_tiff = max(getattr(image, "tag_v2", {}).get(258, (8,)))  # BitsPerSample
    of_ppm = max((part for part in given if isinstance(part, int) and image.format == "PPM"), default=0)  # brightest
    return of_png or of_tiff > 8 or of_ppm > 255
