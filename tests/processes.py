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


TRIAL = ("ray::LosoTrial", "ray::ResourceTrainable")  # what a process that trains is called, idle and at work


def training(mark: str) -> list[int]:
    """Those that train, the oldest first."""
    return sorted(pid for pid, command in marked(mark).items() if command.startswith(TRIAL))


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def kill(mark: str, words: tuple[str, ...]) -> int:
    """SIGKILL the oldest process whose command has one of these words; returns how many were killed: 0 or 1."""
    for pid in sorted(pid for pid, command in marked(mark).items() if any(word in command for word in words)):
        try:
            os.kill(pid, signal.SIGKILL)
            return 1
        except ProcessLookupError:
            continue
    return 0
