"""A report from the command line: what is printed of it, and where it is written, never over another's."""

import json
import re
from pathlib import Path

from rich.console import Console

from analysis.questions.literature import read
from analysis.report.report import Report, publish, report
from analysis.results.load import load_results
from search_spaces import READY
from search_spaces.errors import UserError
from study.cli.terminal import print_table, say

_MOST_NAMES = 20
_LONGEST_NAME = 100  # of a folder that is named after several


def write(
    paths: list[str], out: Path, console: Console, baseline: str | None = None, literature: Path | None = None
) -> Path:
    """Write the report of these results, print what it opens with and its table; the path of report.html."""
    published = read(_ready(literature)) if literature else ()
    made = report(load_results(*paths, baseline=baseline), published)
    _refuse_anothers(out, made)
    for warning in made.warnings:
        say(console, warning, "!", "yellow")
    about = made.results.metadata
    arms = list(dict.fromkeys(arm.arm for arm in about.arms))
    if about.baseline is None and len(arms) > 1:
        known = ", ".join(arms[:_MOST_NAMES]) + f" and {len(arms) - _MOST_NAMES} more" * (len(arms) > _MOST_NAMES)
        say(console, f"nothing is compared: choose one of the arms by --baseline: {known}", "!", "yellow")
    for table in made.tables()[:1]:
        print_table(console, table)
    return publish(made, out)


def _ready(literature: Path) -> Path:
    """The file itself, or that of a ready study by its name."""
    shipped = READY / f"{literature}.csv"
    return (
        shipped if literature.name == str(literature) and not literature.exists() and shipped.is_file() else literature
    )


def own_place(paths: list[str]) -> Path:
    """Where a report goes by itself: a study's into its folder, a table's beside it, under its own name."""
    first = Path(paths[0])
    if len(paths) == 1 and not paths[0].startswith("mlflow:"):
        return first / "report" if first.is_dir() else first.with_name(f"{first.stem}-report")
    names = [re.sub(r"[^\w.-]+", "_", re.split(r"[:#]", path)[-1].rstrip("/")) for path in paths]
    return Path("-".join(Path(name).stem for name in names)[:_LONGEST_NAME] + "-report")


def _refuse_anothers(out: Path, made: Report) -> None:
    """Raises UserError where a folder holds the report of other results."""
    path = out / "report.json"
    if not path.is_file():
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        name, data, files = (
            there["study"]["name"],
            there["data"]["Digest of the data"],
            there["provenance"].get("files"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: is no report's; give another folder: --out DIR") from None
    about = made.results.metadata
    own = about.name, about.provenance.get("files") or about.dataset_digest
    if (name, files or data) != own:
        raise UserError(f"{out}: holds the report of {name} ({files or data[:12]}); give another folder: --out DIR")
