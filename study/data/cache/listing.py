"""What a cache holds, for `losolab data cache`: listed, checked against its digests, and removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from search_spaces.errors import UserError
from study.data.cache import store
from study.data.cache.build import BUILDING, wait_for_lock
from study.data.clips import pixel_digest


@dataclass(frozen=True)
class Stored:
    """A file of the cache: a master of a dataset's clips."""

    name: str
    dataset: str
    master: str
    clips: int
    frames: int
    size: int  # bytes
    made: datetime


def stored(folder: Path) -> list[Stored]:
    """The files of a cache, by dataset and master. Raises UserError where there is none, or a file is not of it."""
    problems, found = [], []
    for file in files(folder):
        try:
            pixels, said = store.opened(file)
        except UserError as error:
            problems += error.problems
            continue
        state, made = file.stat(), datetime.fromtimestamp(file.stat().st_mtime)
        found.append(Stored(file.stem, said.dataset, said.master, said.clips, len(pixels), state.st_size, made))
    if problems:
        raise UserError(problems)
    return sorted(found, key=lambda one: (one.dataset, one.master, one.name))


def unfinished(folder: Path) -> list[Path]:
    """Clips decoded by builds that have not ended: the next build of the same clips takes them."""
    return sorted((folder / BUILDING).glob("*.npy"))


def damaged(folder: Path) -> list[str]:
    """The files whose pixels are not those that were written, one sentence each."""
    problems = []
    for file in files(folder):
        try:
            pixels, own = store.read(file)
        except UserError as error:
            problems += error.problems
            continue
        if pixel_digest(pixels) != own:
            problems.append(f"{file}: its pixels are not what was written; {store.remedy(file)}")
    return problems


def remove(folder: Path, names: Sequence[str]) -> list[Path]:
    """Remove these files, and what builds left that have not ended; returns what is gone.

    Waits for a build in this cache to end. Raises UserError when a name is none of the cache's.
    """
    there = {file.stem: file for file in files(folder)}
    if unknown := [name for name in names if name not in there]:
        raise UserError([f"{folder} holds no {name}; there are: {', '.join(there) or 'none'}" for name in unknown])
    (folder / BUILDING).mkdir(exist_ok=True)
    with wait_for_lock(folder / BUILDING):
        gone = [there[name] for name in names] + unfinished(folder)
        for file in gone:
            file.unlink(missing_ok=True)
    return gone


def files(folder: Path) -> list[Path]:
    """The cache's files. Raises UserError where there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no cache; give the storage that holds it: --storage DIR")
    return sorted(folder.glob("*.arrow"))
