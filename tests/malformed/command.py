"""A command with a malformed input: how it ends, what it says, how long it takes and how much memory."""

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from study.cli.app import main

SECONDS, MEGABYTES = 10, 300  # none may take longer, or more memory above that of a command that does nothing


@dataclass(frozen=True)
class Ended:
    """A command's end: its exit code (minus a signal's number), what it printed, seconds, and peak memory in bytes."""

    code: int
    said: str
    seconds: float
    peak: int


def refused(*arguments: str | Path, cwd: Path, tells: tuple[str, ...] = ()) -> str:
    """Run a command that must be refused as a user's mistake; what it says, on one line a problem.

    It ends with 2 and without a traceback, in time, in little memory, and says each of the words in `tells`.
    """
    ended = run(*arguments, cwd=cwd)
    assert ended.code == 2, f"ended with {ended.code} after {ended.seconds:.1f} s\n{ended.said}"
    assert "Traceback" not in ended.said, ended.said
    assert ended.seconds < SECONDS, f"{ended.seconds:.1f} s"
    above = (ended.peak - empty_peak(_resident() // 2**24)) / 2**20
    assert above < MEGABYTES, f"{above:.0f} MiB above an empty command's peak"
    for words in tells:
        assert words in ended.said, f"{words!r} is not said:\n{ended.said}"
    return ended.said


def run(*arguments: str | Path, cwd: Path) -> Ended:
    """Run `losolab` with these arguments in a fork of this process, in a folder; killed after a few seconds more."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _command(output.fileno(), [str(one) for one in arguments], cwd)
        _, status, used = os.wait4(child, 0)
        seconds = time.monotonic() - began
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    return Ended(os.waitstatus_to_exitcode(status), said, seconds, _bytes(used))


def _resident() -> int:
    """Bytes of memory that this process has, with which every fork of it begins; 0 where the system does not say."""
    sizes = Path("/proc/self/statm")
    return int(sizes.read_text().split()[1]) * resource.getpagesize() if sizes.exists() else 0


@cache
def empty_peak(size: int) -> int:
    """Peak memory in bytes of a command that does nothing, in a fork of this process while it is of this size."""
    return run("--help", cwd=Path.cwd()).peak


def _command(output: int, arguments: list[str], cwd: Path) -> None:
    """In the child: the command, and the end of the process whatever happens."""
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS + 5)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.chdir(cwd)
        main(arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
