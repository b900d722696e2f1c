"""What is different on a cluster: where a submitted study finds its file, what code the nodes run, which nodes serve."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("search_spaces", "analysis", "study")
ROOT = Path(__file__).resolve().parents[1]
_TOKEN = Path("~/.ray/auth_token")
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by `ray job submit`, which gives all nodes the submitted folder itself


def submitted(script: Path, arguments: Sequence[str]) -> list[str]:
    """The arguments of a run that `ray submit` or `ray job submit` may have started, made to join the cluster.

    `ray submit` copies the script alone (to the folder `script`) and runs it in the head's home; a job runs in a
    snapshot that ends with it. So files named relative to the checkout are found there, and results go to the home.
    """
    if script == ROOT / "study" and _JOB not in os.environ:
        return list(arguments)
    os.environ.setdefault("RAY_ADDRESS", "auto")
    named = [next((p for p in (Path(text).absolute(), ROOT / text) if p.is_file()), text) for text in arguments]
    os.chdir(Path.home())
    return [str(argument) for argument in named]


def use_token() -> None:
    """Ray's token authentication, where this machine has a token: a cluster that wants one refuses others.

    Ray reads the mode when it is imported.
    """
    if _TOKEN.expanduser().is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def snapshot() -> dict[str, Any] | None:
    """A runtime environment in which all nodes run this checkout's code, as it is now; None where it is not needed.

    Without it the workers run what was installed when they joined, the driver what was synced since. An installed
    package (no checkout) is the same on all nodes until somebody installs another, which `losolab doctor` finds.
    """
    if _JOB in os.environ or not (ROOT / "pyproject.toml").is_file():
        return None
    return {"py_modules": [str(ROOT / package) for package in PACKAGES]}
