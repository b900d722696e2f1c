"""Commands on results: `losolab report` and `losolab mlflow ui | sync`."""

from pathlib import Path
from typing import Annotated

import typer

from study.cli.options import Folder, Tracking
from study.cli.terminal import console, say, say_where

mlflow = typer.Typer(no_args_is_help=True, help="A study in MLflow: open it there, send what it lacks.")


def report(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="folders of studies, CSV and Parquet files of predictions made elsewhere, mlflow:URI#EXPERIMENT"
        ),
    ],
    baseline: Annotated[str | None, typer.Option(help="the arm to compare with, in place of the study's own")] = None,
    literature: Annotated[Path | None, typer.Option(help="CSV of published numbers, shown beside ours")] = None,
    out: Annotated[Path | None, typer.Option(help="the report's folder; a single study's is in its own")] = None,
) -> None:
    """Write the report of a study again, of several studies, or of predictions made elsewhere."""
    from study.cli import reporting
    from study.ledger.schema import ledger_path

    for path in map(Path, paths):
        if ledger_path(path).is_file():
            from study.ledger.export import export

            export(path)
    page = reporting.write(paths, out or reporting.own_place(paths), console, baseline, literature)
    say_where(console, "report", str(page))


@mlflow.command()
def ui(
    folder: Folder,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="those below are the system's own")] = 5000,
    tracking_uri: Tracking = None,
) -> None:
    """Open the MLflow UI on a study's store, at its table of runs."""
    from study.tracking.server import serve

    serve(folder, tracking_uri, port, lambda text: say(console, text, wrap=False))


@mlflow.command()
def sync(
    folder: Folder,
    tracking_uri: Tracking = None,
) -> None:
    """Send MLflow what it does not have of a study."""
    from study.tracking.mirror_process import mirror

    say_where(console, "mlflow", mirror(folder, tracking_uri))
