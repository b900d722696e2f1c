"""What the commands cost, beside the same commands of another checkout, in one run.

    python benchmarks/cli.py [--against CHECKOUT] [--trials 300] [--only plan,status] [--turns 3]

CHECKOUT is a folder with another commit (`git worktree add ../before COMMIT`). Prints of each command the CPU-seconds,
user's and system's, of its process and those that it started, the best of some turns (the checkouts take turns); the
most memory of one of them; and the ratio, now to before. report and sync are of a search of so many made-up
configurations on 6 subjects, written once by the older code; only the first turn of sync finds an empty store.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
MADE_UP = HERE / "benchmarks" / "made_up.py"
COMMANDS = {
    "--help": ["--help"],
    "plan": ["plan", "--storage", "STORAGE"],
    "status": ["status", "STORAGE/searched"],
    "report": ["report", "STORAGE/searched"],
    "sync": ["sync", "STORAGE/searched"],
}
ONCE = ("report", "sync")  # what takes long, or finds its work done the second time


@dataclass(frozen=True)
class Spent:
    """CPU-seconds of a process and its children, and MiB of the largest of them."""

    seconds: float
    memory: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--trials", type=int, default=300, help="configurations of the search")
    parser.add_argument("--only", default=",".join(COMMANDS), help="commands, separated by commas")
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args(arguments)
    checkouts = [HERE] if given.against is None else [given.against.absolute(), HERE]
    print(f"{'command':9}", *(f"{checkout.name:>21}" for checkout in checkouts), "   ratio" * (len(checkouts) > 1))
    with tempfile.TemporaryDirectory() as folder:
        storages = {checkout: Path(folder) / str(place) for place, checkout in enumerate(checkouts)}
        first = storages[checkouts[0]] / "searched"
        if {"status", "report", "sync"} & set(given.only.split(",")):
            first.parent.mkdir()
            spent([sys.executable, str(MADE_UP), str(first), str(given.trials)], checkouts[0])
            for checkout in checkouts[1:]:
                shutil.copytree(first.parent, storages[checkout])
        for name in given.only.split(","):
            best: dict[Path, Spent] = {}
            for _ in range(1 if name in ONCE else given.turns):
                for checkout in checkouts:
                    words = [word.replace("STORAGE", str(storages[checkout])) for word in COMMANDS[name]]
                    code = "from study.cli.app import main; main()"
                    now = spent([sys.executable, "-c", code, *words], checkout)
                    best[checkout] = min(best.get(checkout, now), now, key=lambda one: one.seconds)
            cells = [f"{best[one].seconds:8.2f} s {best[one].memory:6.0f} MiB" for one in checkouts]
            ratio = f"{best[HERE].seconds / best[checkouts[0]].seconds:8.2f}" if len(checkouts) > 1 else ""
            print(f"{name:9}", *(f"{cell:>21}" for cell in cells), ratio, flush=True)


def spent(command: Sequence[str], checkout: Path) -> Spent:
    """Run a command with the packages of a checkout. Raises CalledProcessError where it fails."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Spent(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
