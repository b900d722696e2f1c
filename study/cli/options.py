"""Options that commands share, and a study file with their values in the places of its own."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search_spaces import READY
from search_spaces.errors import UserError
from search_spaces.files import is_utf8, wrong_kind

if TYPE_CHECKING:  # pydantic takes a third of the time of `losolab --help`, which reads no study file
    from search_spaces.spec import StudySpec

_WHOLE = frozenset({"--trials", "--seeds", "--slots", "--port", "--subjects", "--clips", "--seed"})
MOST_SLOTS = 10_000  # trials at a time: more than the largest cluster holds, and soon listed

Study = Annotated[Path, typer.Argument(help="a study file; the default study where none is given")]
Folder = Annotated[Path, typer.Argument(help="a study's folder: STORAGE/NAME")]
Data = Annotated[Path | None, typer.Option(help="the dataset's folder or manifest, in place of the study file's")]
Reader = Annotated[str | None, typer.Option(help="how --data is read: casme2, samm, smic, manifest, ...")]
Labels = Annotated[str | None, typer.Option(help="a label map by name, e.g. megc3, in place of the study file's")]
Storage = Annotated[Path | None, typer.Option(help="where studies, caches and the MLflow store lie")]
Trials = Annotated[int | None, typer.Option(min=1, help="proposals of the search stage")]
Seeds = Annotated[int | None, typer.Option(min=1, help="seeds of every arm of the fixed designs")]
Slots = Annotated[
    int | None, typer.Option(min=1, max=MOST_SLOTS, help="trials at a time; as many as fit where not given")
]
Resources = Annotated[str | None, typer.Option(help="of one trial, e.g. cpu=1,gpu=0.25,memory=4 (GiB)")]
Address = Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="a running Ray cluster")]


def _tracking(uri: str | None) -> str | None:
    """Raises UserError where it is no address of MLflow's."""
    if uri is None:
        return None
    from search_spaces.spec import tracking_place

    try:
        return tracking_place(uri)
    except ValueError as problem:
        raise UserError(f"--tracking-uri {uri!r}: {problem}") from None


Tracking = Annotated[
    str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="an MLflow server", callback=_tracking)
]


def load(
    study: Path,
    *,
    data: Path | None = None,
    reader: str | None = None,
    labels: str | None = None,
    trials: int | None = None,
    seeds: int | None = None,
    storage: Path | None = None,
    resources: str | None = None,
    tracking_uri: str | None = None,
) -> "StudySpec":
    """The study file with the options in their places. Raises UserError with all that is wrong."""
    from search_spaces.study_file import find_study, load_study

    parts: dict[str, Any] = {"storage": storage and str(storage), "tracking_uri": tracking_uri}
    parts |= _parsed(resources)
    if reader is not None:
        if data is None and reader != "synthetic":
            raise UserError(f"--reader {reader}: says how --data is read; give --data PATH, too")
        parts["dataset"] = {"reader": reader} | ({} if data is None else {"path": str(data)})
    parts["dataset.options.labels"] = labels
    given = {key: value for key, value in parts.items() if value is not None}
    spec = load_study(study, given, data=data, proposals=trials, seeds=seeds)
    if spec.storage.exists() and not spec.storage.is_dir():
        raise UserError(
            f"{study}: storage {spec.storage} is {wrong_kind(spec.storage) or 'a file'}; expected: a folder"
        )
    _importable(find_study(study).resolve().parent)
    return spec


def refuse_unfit(arguments: list[str]) -> None:
    """Raise UserError where an argument is empty or no text: neither names anything."""
    problems = []
    for number, argument in enumerate(arguments, 1):
        before = arguments[number - 2] if number > 1 else ""
        name = before if before.startswith("--") else f"argument {number}"
        if argument.startswith("--") and "=" in argument:
            name, _, argument = argument.partition("=")
        if not argument.strip():
            problems.append(f"{name}: is empty; give a value, or leave the option out")
        elif name in _WHOLE and "_" in argument:  # Python reads 1_0 as 10
            problems.append(f"{name}: {argument} is no whole number in digits 0 to 9")
        elif not is_utf8(argument):
            problems.append(f"{name}: {argument!r} is not text in UTF-8; rename the file or folder")
    if problems:
        raise UserError(problems)


def _parsed(resources: str | None) -> dict[str, str]:
    if resources is None:
        return {}
    parts = [part.partition("=") for part in resources.split(",")]
    if wrong := ["".join(part) for part in parts if not part[1]]:
        raise UserError(f"--resources {resources}: {wrong[0]!r} is not NAME=NUMBER, e.g. cpu=1,gpu=0.25,memory=4")
    given = {name.strip(): amount.strip() for name, _, amount in parts}
    if len(given) < len(parts):
        raise UserError(f"--resources {resources}: a name is given twice; leave one of each")
    return {f"resources.{name}": amount for name, amount in given.items()}


def _importable(folder: Path) -> None:
    """A reader or network of the user's own may lie beside the study file, for us and the processes that we start."""
    if folder != READY:
        sys.path.append(str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(folder)]))
