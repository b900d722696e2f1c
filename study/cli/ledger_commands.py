"""Commands on a study's ledger as a file: `losolab ledger check | export | copy | journal`."""

from pathlib import Path
from typing import Annotated

import typer

from search_spaces.errors import UserError
from study.cli.options import Folder
from study.cli.terminal import console, say, say_where

app = typer.Typer(
    no_args_is_help=True, help="A study's ledger: check it, write its tables, copy it, write its journal."
)


@app.command()
def check(folder: Folder) -> None:
    """Read the whole ledger and say what is wrong with it. Ends with 2 if anything is."""
    from study.ledger.audit import audit

    found = audit(folder)
    for note in found.notes:
        say(console, note, "!", "yellow", wrap=False)
    if found.problems:
        raise UserError([f"{folder}: {problem}" for problem in found.problems])
    say(console, f"{folder}: {found.folds} folds; nothing is wrong", wrap=False)


@app.command("export")
def write_tables(folder: Folder) -> None:
    """Write predictions.parquet, trials.parquet and the study's file into its folder."""
    from study.ledger.export import export

    export(folder)
    say(console, f"wrote {folder / 'predictions.parquet'} and trials.parquet", wrap=False)


@app.command()
def copy(
    folder: Folder,
    target: Annotated[Path, typer.Argument(help="a study's folder to make, or a file NAME.sqlite")],
) -> None:
    """Copy the ledger as it is at this moment, beside a running driver too; never copy a live file."""
    from study.ledger.backup import copy_ledger

    copy_ledger(folder, target)
    say(console, f"copied to {target}", wrap=False)


@app.command()
def journal(folder: Folder) -> None:
    """Write a study's searches as a journal that optuna-dashboard opens."""
    from study.search.optuna_journal import write_journal

    say_where(console, "journal", f"{write_journal(folder)}; open it with: optuna-dashboard {folder / 'optuna.log'}")
