"""Joining a Ray cluster: with its token, and with this checkout's code on all nodes."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from study.trials.fold_identity import ROOT

PACKAGES = ("search_spaces", "analysis", "study")
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by `ray job submit`, which gives all nodes the submitted folder itself
QUIET: dict[str, Any] = {"logging_level": "critical", "log_to_driver": False}
_TOKEN = Path("~/.ray/auth_token")


def use_token() -> None:
    """Ray's token authentication, where this machine has a token: a cluster that wants one refuses others.

    Ray reads the mode when it is imported.
    """
    if _TOKEN.expanduser().is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def join(address: str, modules: Sequence[str] = ()) -> None:
    """Join the Ray cluster at an address, with this checkout's code on all nodes. Raises UserError where none is.

    Ray itself waits for minutes for an address that does not answer.
    """
    import ray

    host, _, port = address.rpartition("//")[2].rpartition(":")
    try:
        if port.isdigit():  # not `auto`, which Ray answers at once
            socket.create_connection((host, int(port)), timeout=5).close()
        ray.init(address, runtime_env=runtime_environment(modules), **QUIET)
    except (OSError, OverflowError, ValueError, RuntimeError, ray.exceptions.RayError) as problem:
        said = " ".join(str(problem).split())
        raise UserError(f"--address {address}: no Ray answers there ({said}); is the cluster up?") from None


def runtime_environment(modules: Sequence[str] = ()) -> dict[str, Any] | None:
    """A runtime environment in which all nodes run this checkout's code, as it is now; None where it is not needed.

    modules: folders of packages and files of modules of the user's own, which travel with it.

    Without it the workers run what was installed when they joined, the driver what was synced since. An installed
    package (no checkout) is the same on all nodes until somebody installs another, which `losolab doctor` finds.
    """
    own = [str(ROOT / package) for package in PACKAGES] if (ROOT / "pyproject.toml").is_file() else []
    if JOB in os.environ or not (own or modules):
        return None
    return {"py_modules": [*own, *modules]}
