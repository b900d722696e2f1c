"""The entry: `python study/run.py [STUDY.yaml] [options]`, also what `ray submit` runs. Hands over to the package.

Python puts this file's folder at the head of the import path, and `ray submit` copies this file alone: so nothing but
the installed package is imported from here.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    from study.cli.app import main as command
    from study.cluster.submission import submitted

    command(["run", *submitted(HERE, sys.argv[1:])])


if __name__ == "__main__":
    main()
