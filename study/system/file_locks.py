"""A lock between processes of this machine: held while a file is open, freed by the system when its process dies."""

import fcntl
from pathlib import Path
from typing import TextIO


def locked(path: Path, *, wait: bool = True) -> TextIO:
    """Hold the lock of a file, which is made where it is not there, until what is returned is closed.

    Raises BlockingIOError where another process holds it and this one is not to wait. What the file says stays.
    """
    file = path.open("a+", encoding="utf-8", errors="replace")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        file.close()
        raise
    return file
