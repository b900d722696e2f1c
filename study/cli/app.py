"""The command line: which commands there are, in the order of use, and how a mistake or a crash of theirs is told."""

import io
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from sqlite3 import DatabaseError
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from search_spaces.errors import UserError
from study.cli import cluster_commands, data_commands, ledger_commands, result_commands, study_commands
from study.cli.options import refuse_unfit
from study.cli.terminal import errors, say

# What losolab[run] adds to the plain install, and what Windows lacks.
_RUN_ONLY = frozenset({"PIL", "av", "decord", "mlflow", "openpyxl", "optuna", "ray", "torch"})
_NOT_ON_WINDOWS = frozenset({"fcntl", "resource"})
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer does not export it
_IN_ORDER_OF_USE = ("data", "plan", "run", "status", "report", "mlflow", "ledger", "doctor")
_MOST_PROBLEMS = 100  # lines of errors; more of them help nobody


class Commands(TyperGroup):
    """The commands in the order in which a user meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*_IN_ORDER_OF_USE, *(name for name in self.commands if name not in _IN_ORDER_OF_USE)]

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Ctrl-C says what is kept, where the command knows, and ends with 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            say(errors, str(stopped) or "stopped")
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> None:
    """Run a command. A user's mistake is told without a traceback, with exit code 2; any other error ends with 70."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack a character of a name
            stream.reconfigure(errors="backslashreplace")
    try:
        refuse_unfit(given)
        ended = app(given, prog_name="losolab", standalone_mode=False)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a library's panic or cancellation need not be an Exception
        if isinstance(error, _UsageError):
            _explain(error)
        if problems := _mistakes(error) if isinstance(error, UserError) else _damage() or _mistakes(error):
            _refuse(problems)
        _crash(error, given)
    sys.exit(ended if isinstance(ended, int) else 0)


def _mistakes(error: BaseException) -> list[str]:
    """What is the user's, or the machine's, to mend; nothing where the error is ours."""
    match error:
        case UserError():
            return error.problems
        case DatabaseError():  # a damaged page, or a disk that fills up while a ledger is copied
            remedy = "losolab ledger check FOLDER says whether it is damaged"
            return [f"the ledger cannot be read or copied: {error}; {remedy}"]
        case OSError():  # a full disk, a folder that may not be written: the system's own words say it best
            return [str(error)]
        case ModuleNotFoundError(name=name) if name in _RUN_ONLY:
            return [f"{name} is not installed: pip install 'losolab[run]' brings what trains"]
        case ModuleNotFoundError(name=name) if name in _NOT_ON_WINDOWS:
            return [
                f"this system has no {name}: studies run on Linux and macOS, and on Windows inside WSL; "
                "losolab report reads tables of predictions here, too"
            ]
    return []


def _damage() -> list[str]:
    """What is damaged in the ledgers that this process has opened: a reader of one fails in ways of its own."""
    if "study.ledger.schema" not in sys.modules:
        return []
    from study.ledger.damage import damage
    from study.ledger.schema import opened

    return [problem for folder in sorted(opened) for problem in damage(folder)]


def _explain(mistake: Any) -> NoReturn:
    """Tell of an unknown or unfit option on one line; without a command typer has shown the help instead."""
    if words := mistake.format_message().strip():
        _refuse(
            [f"{words.rstrip('.')}; {mistake.ctx.command_path if mistake.ctx else 'losolab'} -h says what there is"]
        )
    sys.exit(2)


def _refuse(problems: Sequence[str]) -> NoReturn:
    for problem in problems[:_MOST_PROBLEMS]:
        say(errors, problem, "error:", "red", wrap=False)
    if (more := len(problems) - _MOST_PROBLEMS) > 0:
        say(errors, f"... and {more:,} more")
    sys.exit(2)


def _crash(error: BaseException, arguments: list[str]) -> NoReturn:
    from study.cli import crash_log

    if isinstance(error, typer.Abort) and error.__cause__:  # an EOFError, which typer takes for a closed terminal
        error = error.__cause__
    if {"-v", "--verbose"} & {*arguments}:
        traceback.print_exception(error)
    log = crash_log.log_of(error, arguments) or "what it prints with -v: no log could be written"
    say(errors, f"{crash_log.kind(error)}; please report it, with {log}", "error:", "red", wrap=False)
    sys.exit(crash_log.EXIT_CODE)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"losolab {version('losolab')}")
        raise typer.Exit


@app.callback()
def losolab(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="show where an unforeseen error comes from, besides its log")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
) -> None:
    """Hyperparameter and ablation studies for micro-expression recognition under leave-one-subject-out."""


app.add_typer(data_commands.app, name="data")
app.command()(study_commands.plan)
app.command()(study_commands.run)
app.command()(study_commands.status)
app.command()(result_commands.report)
app.command()(cluster_commands.doctor)
app.add_typer(result_commands.mlflow, name="mlflow")
app.add_typer(ledger_commands.app, name="ledger")
# The names that these commands had before they stood with their nouns.
app.command(hidden=True)(data_commands.check)
app.command(hidden=True)(data_commands.look)
app.command(hidden=True)(data_commands.synthesize)
app.command(hidden=True)(result_commands.ui)
app.command(hidden=True)(result_commands.sync)
app.command(hidden=True)(ledger_commands.journal)
app.add_typer(data_commands.cache, name="cache", hidden=True)
