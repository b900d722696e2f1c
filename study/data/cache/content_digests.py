"""Digests of files and what else is known of them, remembered while their sizes and times are what they were."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from search_spaces.digests import digest
from search_spaces.errors import UserError
from search_spaces.files import require_file, written_whole

log = logging.getLogger("losolab")

Listing = Callable[[Path], list[Path]]  # the files of a folder, one a frame, in their order

SETTLED = 2.0  # seconds after a change in which a file may change again without its times telling


class Contents:
    """What is known of sources by their bytes, kept in a JSON file: path -> [state, what was found, digest of both].

    What is damaged there is found again, with a word.
    """

    def __init__(self, file: Path) -> None:
        """Raises UserError where the file is a folder or a pipe."""
        require_file(file, "what the cache remembers; remove it")
        self.file, self.changed = file, False
        said = _said(file)
        self.known: dict[str, list[str]] = {name: entry for name, entry in said.items() if _is_sound(name, entry)}
        if any(len(entry) != 2 for name, entry in said.items() if name not in self.known):  # 2: of an older losolab
            log.warning("%s was damaged: what it no longer knows of videos and images is found again", file)

    def digest(self, path: Path, first: int, last: int, listing: Listing) -> str:
        """SHA-256 of a file, or of the files of frames first..last that a folder has. Raises UserError when missing."""
        files = frame_files(path, first, last, listing)
        name = f"{path.resolve()}" if path.is_file() else f"{path.resolve()}:{files[0].name}-{files[-1].name}"
        return self.remembered(name, files, lambda: digest([file_digest(file) for file in files]))

    def remembered(self, name: str, files: Sequence[Path], find: Callable[[], str]) -> str:
        """What `find` finds in files: read again only when one of them changed since. name: of files and question."""
        states = [file.stat() for file in files]
        state = digest([[s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for s in states])
        if name in self.known and self.known[name][0] == state:
            return self.known[name][1]
        found = find()
        if time.time() - max(s.st_ctime for s in states) > SETTLED:
            self.known[name] = [state, found, _seal(name, state, found)]
            self.changed = True
        return found

    def save(self) -> None:
        """Keep what was learned for the next time."""
        if self.changed:
            with written_whole(self.file) as draft, draft.open("wb") as stream:
                stream.write(json.dumps(self.known, indent=0).encode())


def _said(file: Path) -> dict[str, list[Any]]:
    """The lists by name that the file holds, damaged or not; an empty one where it is no such file at all."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return {"": []}
    return {name: entry if isinstance(entry, list) else [] for name, entry in said.items()}


def _is_sound(name: str, entry: list[Any]) -> bool:
    return len(entry) == 3 and all(isinstance(part, str) for part in entry) and entry[2] == _seal(name, *entry[:2])


def _seal(name: str, state: str, found: str) -> str:
    return hashlib.sha256(json.dumps([name, state, found]).encode()).hexdigest()[:16]


def frame_files(path: Path, first: int, last: int, listing: Listing) -> list[Path]:
    """A file itself, or the files of frames first..last of a folder, which may hold others, too. Raises UserError."""
    if not path.is_dir():
        require_file(path, "a file, or a folder of frames")
        if path.is_file():
            return [path]
        raise UserError(f"{path}: there is no such file, and no such folder of frames")
    files = listing(path)
    if len(files) <= last:
        raise UserError(
            f"{path}: has {len(files)} frames, the annotation needs {last + 1} (frames are numbered from 0)"
        )
    return files[first : last + 1]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
