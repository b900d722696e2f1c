"""One writer a study: a lock on its folder, which must lie on a disk where locks hold."""

import os
import platform
from pathlib import Path
from typing import TextIO

from search_spaces.errors import UserError
from study.system.file_locks import locked

_NETWORK = frozenset(  # kinds of file system in /proc/mounts
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "beegfs", "gpfs", "ceph", "glusterfs", "afs", "fuse.sshfs")
)


def take(folder: Path) -> TextIO:
    """Hold the folder's lock while the returned file is open. Host and pid stand in it for the message only."""
    path = folder / "ledger.lock"
    try:
        file = locked(path, wait=False)
    except BlockingIOError:
        writer = path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
        raise UserError(f"{folder}: another run of this study is writing ({writer}); wait for it, or stop it") from None
    file.truncate(0)
    file.write(f"{platform.node()}, process {os.getpid()}\n")
    file.flush()
    return file


def holder(folder: Path) -> str | None:
    """Who writes this study now: host and process; None where nobody does."""
    path = folder / "ledger.lock"
    if not path.exists():
        return None
    said = path.read_text(encoding="utf-8", errors="replace").strip()
    host, _, process = said.rpartition(", process ")
    if host != platform.node() or not process.isdecimal():
        return said or None  # on another host: nothing here can tell whether it still runs
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return said if _is_locked(path) else None


def held_since(folder: Path) -> float:
    """When the lock was last taken, in seconds since 1970; 0 where it never was."""
    path = folder / "ledger.lock"
    return path.stat().st_mtime if path.exists() else 0.0


def _is_locked(path: Path) -> bool:
    """Whether a process of this host holds the lock; True where the system does not say."""
    locks = Path("/proc/locks")
    if not locks.exists():
        return True
    inode = f":{path.stat().st_ino}"
    held = (line.split() for line in locks.read_text(encoding="utf-8").splitlines())
    return any(fields[1] == "FLOCK" and fields[5].endswith(inode) for fields in held)


def refuse_network(folder: Path) -> None:
    """SQLite's locks do not hold on a network file system."""
    if (kind := file_system(folder)) in _NETWORK:
        raise UserError(
            f"{folder}: a network file system ({kind}), where a ledger is not safe; give --storage DIR on a local disk"
        )


def file_system(folder: Path) -> str:
    """Kind of the file system that a folder lies on, or would lie on; empty where the system does not say."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    points = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    target = folder.resolve()
    around = [(point, kind) for point, kind in points if target.is_relative_to(point.replace("\\040", " "))]
    return max(around, key=lambda pair: len(pair[0]), default=("", ""))[1]
