"""The processes of a study that a test started, by /proc: nobody else's are ever found."""

import os
import signal
from pathlib import Path

MARK = "LOSOLAB_TEST"  # in the environment of a test's driver, and so of all that it starts


def marked(mark: str) -> dict[int, str]:
    """Process id -> command, of those that a test started with `MARK=mark` in their environment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return {pid: command for pid, command in found.items() if command}  # without zombies


def kill(mark: str, word: str) -> int:
    """SIGKILL the oldest process whose command has this word; returns how many were killed: 0 or 1."""
    for pid in sorted(pid for pid, command in marked(mark).items() if word in command):
        try:
            os.kill(pid, signal.SIGKILL)
            return 1
        except ProcessLookupError:
            continue
    return 0
