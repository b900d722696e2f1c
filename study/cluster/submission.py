"""A study that `ray submit` or `ray job submit` has started: how it finds its files and joins the cluster."""

import os
from collections.abc import Sequence
from pathlib import Path

from study.cluster.ray_session import JOB
from study.trials.fold_identity import ROOT


def submitted(script: Path, arguments: Sequence[str]) -> list[str]:
    """The arguments of a run that `ray submit` or `ray job submit` may have started, made to join the cluster.

    `ray submit` copies the script alone (to the folder `script`) and runs it in the head's home; a job runs in a
    snapshot that ends with it. So files named relative to the checkout are found there, and results go to the home.
    """
    if (script / "__init__.py").is_file() and JOB not in os.environ:
        return list(arguments)
    os.environ.setdefault("RAY_ADDRESS", "auto")
    named = [next((p for p in (Path(text).absolute(), ROOT / text) if p.is_file()), text) for text in arguments]
    os.chdir(Path.home())
    return [str(argument) for argument in named]
