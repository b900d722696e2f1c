"""Which file holds a source's landmarks: beside it, or under the same path in a folder of landmarks."""

from os.path import relpath
from pathlib import Path

from search_spaces.errors import UserError

BESIDE = "beside"  # what the option `landmarks` says where they are with the images
LEAST = 2  # names at the end of a source's path that say which it is: a subject's folder, and the clip


def landmarks_of(source: Path, root: Path, given: str) -> Path:
    """A source's landmarks by the option `landmarks`. Raises UserError where there are none, or more than one.

    `beside`: in the source's own folder, or next to it, under its name. Else a folder, from the dataset's on: under the
    source's path below the dataset's folder, or under the end of that path, the longest that is there, at least the
    last two names of it. In either place they are NAME.csv, NAME.npy, NAME/NAME.csv, or .npy files in NAME.
    """
    places = [without_suffix(source)] if given == BESIDE else mirrored(source, root, root / given)
    for place in places:
        found = [file for file in files(place) if file.exists()]
        found += [place] if place.is_dir() and any(place.glob("*.npy")) else []
        if len(found) > 1:
            names = ", ".join(map(str, found))
            raise UserError(f"there are several landmarks of {source}: {names}; leave one")
        if found:
            return found[0]
    expected = places[0]
    raise UserError(
        f"there are no landmarks of {source}; expected: {expected}.csv, {expected}.npy, or .npy files in it"
    )


def mirrored(source: Path, root: Path, folder: Path) -> list[Path]:
    """Where a folder of landmarks may have those of a source, the longest path first."""
    names = [name for name in Path(relpath(without_suffix(source), root)).parts if name != ".."]
    return [folder.joinpath(*names[at:]) for at in range(max(len(names) - LEAST, 0) + 1)]


def files(place: Path) -> list[Path]:
    """The files that may hold the landmarks of a source of this name."""
    name = place.name
    return [place.with_name(f"{name}.csv"), place.with_name(f"{name}.npy"), place / f"{name}.csv"]


def without_suffix(source: Path) -> Path:
    """A video's path without its suffix; a folder's as it is."""
    return source if source.is_dir() else source.with_suffix("")
