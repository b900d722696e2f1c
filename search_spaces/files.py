"""Files: those that a user names are refused by their kind, and those that we write appear whole or not at all."""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search_spaces.errors import UserError

_HALVES = re.compile("[\ud800-\udfff]")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def wrong_kind(path: Path) -> str | None:
    """What a path is where it is no regular file: a folder, a named pipe, a socket or a device; else None.

    Opening a pipe or a device might never end. A path at which nothing is, or that may not be looked at, is left to
    whoever opens it: the system's words say why.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return None
    return _KINDS.get(stat.S_IFMT(mode))


def require_file(path: Path, expected: str) -> None:
    """Raise UserError where a path is a folder, a pipe, a socket or a device and not the `expected` file."""
    if kind := wrong_kind(path):
        raise UserError(f"{path}: is {kind}; expected: {expected}")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A draft in the same folder, to be written in the block and renamed after it: no name ever stands for half a file.

    An error in the block removes the draft; a kill leaves it, as .NAME-....partial.
    """
    draft = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def is_utf8(name: str) -> bool:
    """Whether a name from the file system is text: bytes that are not UTF-8 stand in it as halves of characters."""
    return not _HALVES.search(name)


def escaped(name: str) -> str:
    """Text in which names of files may stand, to be printed and stored: bytes that are not UTF-8 as `\\xce`."""
    if is_utf8(name):
        return name
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of characters that no file name has
        return name.encode("utf-8", "backslashreplace").decode()


def not_utf8(path: Path) -> Path | None:
    """The topmost folder, or the file, of a path whose own name is not in UTF-8; None where all are."""
    return next((part for part in [*reversed(path.parents), path] if not is_utf8(part.name)), None)
