"""The command line: `losolab run | plan | check | report | journal | ui | sync | synthesize | ...`."""

import io
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import DatabaseError
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from search_spaces import READY
from search_spaces.errors import UserError
from study.cli import cluster_commands, data_commands, ledger_commands
from study.cli.options import (
    Address,
    Data,
    Folder,
    Labels,
    Reader,
    Resources,
    Seeds,
    Slots,
    Storage,
    Study,
    Tracking,
    Trials,
    load,
    refuse_unfit,
)
from study.cli.terminal import make_console, say

if TYPE_CHECKING:  # commands import what they need: `losolab --help` and `report` need neither torch nor ray
    from study.scheduling.driver import Study as Prepared
    from study.scheduling.serial_executor import Executor

# What losolab[run] adds to the plain install, and what Windows lacks.
_RUN_ONLY = frozenset({"PIL", "av", "decord", "mlflow", "openpyxl", "optuna", "ray", "torch"})
_NOT_ON_WINDOWS = frozenset({"fcntl", "resource"})
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer does not export it
_IN_ORDER_OF_USE = ("synthesize", "check", "look", "plan", "run", "status", "report", "ui", "sync", "journal")
_MOST_PROBLEMS = 100  # lines of errors; more of them help nobody
_OVERCOMMITTED = 16  # threads of a trial a processor: torch dies of some thousands


class Commands(TyperGroup):
    """The commands in the order in which a user meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        first = [name for name in _IN_ORDER_OF_USE if name in self.commands]
        return [*first, *(name for name in self.commands if name not in first)]

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
app.command()(data_commands.look)
app.command()(cluster_commands.doctor)
app.add_typer(data_commands.cache, name="cache")
app.add_typer(ledger_commands.app, name="ledger")
console = make_console()
errors = make_console(stderr=True)


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


@app.callback()
def losolab(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="show where an unforeseen error comes from, besides its log")
    ] = False,
) -> None:
    """Hyperparameter and ablation studies for micro-expression recognition under leave-one-subject-out."""


@app.command()
def run(
    study: Study = READY / "default.yaml",
    data: Data = None,
    reader: Reader = None,
    labels: Labels = None,
    trials: Trials = None,
    seeds: Seeds = None,
    storage: Storage = None,
    resources: Resources = None,
    slots: Slots = None,
    address: Address = None,
    serial: Annotated[
        bool, typer.Option("--serial", help="one trial after another in this process, without Ray")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan and start nothing")] = False,
    tracking_uri: Tracking = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="try trials again that failed before")] = False,
    accept_code: Annotated[
        bool, typer.Option("--accept-code", help="go on although the training code changed")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="say what becomes of every trial")] = False,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="let folds of several arithmetics (GPU, threads, torch) stand together")
    ] = False,
) -> None:
    """Run a study, or go on with it: train the missing folds, mirror to MLflow, write the report."""
    from search_spaces.study_file import find_study

    if verbose:
        _say_more()
    if serial and slots:
        raise UserError("--serial runs one trial at a time: leave out --slots, or --serial")
    spec = load(
        study,
        data=data,
        reader=reader,
        labels=labels,
        trials=trials,
        seeds=seeds,
        storage=storage,
        resources=resources,
        tracking_uri=tracking_uri,
    )
    from study.system import hardware

    if serial and spec.resources.threads > (most := _OVERCOMMITTED * hardware.here().cpus):
        raise UserError(f"resources.cpu: {spec.resources.cpu:g} threads for a trial; on this machine at most {most}")
    from study.scheduling import driver

    prepared = driver.prepare(spec, find_study(study).read_text(encoding="utf-8"))
    if dry_run:
        _print_plan(prepared, slots, None if serial else address)
        return
    executor = _executor(serial, slots, address, prepared)
    from study.cli import reporting
    from study.tracking.mirror_process import mirrored

    try:
        clips = driver.load_clips(prepared, console)
        with (
            driver.begun(prepared, clips, accept_code=accept_code, mixed=mixed) as ledger,
            mirrored(prepared.folder, spec.tracking_uri) as mirror,
        ):
            if not serial:
                say(console, f"joining the Ray cluster at {address} ..." if address else "starting Ray ...")
            failed = driver.train(prepared, clips, ledger, executor, console, retry_failed=retry_failed)
            report_path = reporting.write([str(prepared.folder)], prepared.folder / "report", console)
    except KeyboardInterrupt as stopped:
        kept = "stopped; every finished block is in the ledger: the same command goes on from there"
        raise KeyboardInterrupt(str(stopped) or kept) from None
    _say_where("report", str(report_path))
    _say_where("mlflow", f"{mirror.summary()}; open it with: losolab ui {prepared.folder}")
    if failed:
        say(errors, "the report says why; --retry-failed tries them again", f"{failed} trials failed;", "red")
        raise typer.Exit(1)


@app.command()
def plan(
    study: Study = READY / "default.yaml",
    data: Data = None,
    reader: Reader = None,
    labels: Labels = None,
    trials: Trials = None,
    seeds: Seeds = None,
    storage: Storage = None,
    resources: Resources = None,
    slots: Slots = None,
    address: Address = None,
) -> None:
    """Print what a study would train, what it would cost and what it could find. Starts and writes nothing."""
    spec = load(
        study,
        data=data,
        reader=reader,
        labels=labels,
        trials=trials,
        seeds=seeds,
        storage=storage,
        resources=resources,
    )
    from study.scheduling import driver

    _print_plan(driver.prepare(spec, ""), slots, address)


@app.command()
def status(
    study: Annotated[Path, typer.Argument(help="a study file, or a study's folder: STORAGE/NAME")],
    storage: Storage = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="show it anew until the run ends")] = False,
) -> None:
    """Say how far a running or stopped study is, beside its run."""
    from study.cli import status_view

    spec = None if study.is_dir() else load(study, storage=storage)
    folder = study if spec is None else spec.storage / spec.name
    (status_view.print_json if json else status_view.watch if watch else status_view.show)(folder, console)


@app.command()
def check(
    reader: Annotated[str, typer.Argument(help="casme2, samm, smic, casme_squared, megc2019, manifest, ...")],
    path: Annotated[Path | None, typer.Argument(help="the dataset's folder or manifest")] = None,
    labels: Annotated[str | None, typer.Option(help="a label map by name, e.g. megc3")] = None,
    option: Annotated[list[str] | None, typer.Option(help="an option of the reader: NAME=VALUE; repeatable")] = None,
    decode: Annotated[bool, typer.Option("--decode", help="decode every clip, too, videos by two decoders")] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say what a dataset holds, everything that is wrong with it, and what would be left out. Ends with 2 if wrong."""
    from study.data.inspection import dataset_check as checking

    options = checking.options_of(labels, option or [])
    try:
        with errors.status("reading the dataset") as line:
            found = checking.check(
                reader, path, options, decode=decode, progress=lambda done, of: line.update(f"decoding {done} of {of}")
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; a check writes nothing, and begins anew") from None
    if json:
        typer.echo(checking.as_json(found))
    else:
        checking.show(found, console)
    if found.problems:
        raise typer.Exit(2)


@app.command()
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
    _say_where("report", str(reporting.write(paths, out or reporting.own_place(paths), console, baseline, literature)))


@app.command()
def ui(
    folder: Folder,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="those below are the system's own")] = 5000,
    tracking_uri: Tracking = None,
) -> None:
    """Open the MLflow UI on a study's store, at its table of runs."""
    from study.tracking.server import serve

    serve(folder, tracking_uri, port, lambda text: say(console, text, wrap=False))


@app.command()
def sync(
    folder: Folder,
    tracking_uri: Tracking = None,
) -> None:
    """Send MLflow what it does not have of a study."""
    from study.tracking.mirror_process import mirror

    _say_where("mlflow", mirror(folder, tracking_uri))


@app.command()
def journal(folder: Folder) -> None:
    """Write a study's searches as a journal that optuna-dashboard opens."""
    from study.search.optuna_journal import write_journal

    _say_where("journal", f"{write_journal(folder)}; open it with: optuna-dashboard {folder / 'optuna.log'}")


@app.command()
def synthesize(
    folder: Annotated[Path, typer.Argument(help="the folder to make")],
    subjects: Annotated[int, typer.Option(min=2)] = 12,
    clips: Annotated[int, typer.Option(min=2, help="clips a subject, on average")] = 12,
    seed: int = 0,
    mislabelled: Annotated[float, typer.Option(min=0, max=1, help="share of clips with a wrong label")] = 0.1,
    motion: Annotated[float, typer.Option(min=0, help="pixels on a face of 128 pixels")] = 5.0,
) -> None:
    """Render a dataset of synthetic faces as video files, with an annotation table and its planted answer."""
    from study.data.synthetic.dataset import Synthetic
    from study.data.synthetic.writer import synthesize as write

    spec = Synthetic(subjects=subjects, clips=clips, seed=seed, mislabelled=mislabelled, motion=motion)
    with console.status("rendering"):
        write(folder, spec)
    say(console, f"wrote {folder}: clips.csv, truth.json and the videos")


def _say_more() -> None:
    from rich.logging import RichHandler

    logging.basicConfig(handlers=[RichHandler(console=console, show_path=False, markup=False)], format="%(message)s")
    logging.getLogger("losolab").setLevel(logging.INFO)


def _print_plan(prepared: "Prepared", slots: int | None, address: str | None) -> None:
    from study.cli.plan_view import nodes_that_serve, print_forecast
    from study.planning.forecast import forecast

    notes = prepared.index.notes
    if address:
        from study.cluster.nodes import members_of

        held, nodes = nodes_that_serve(members_of(address), prepared.spec.resources)
        slots, notes = slots or held, (*notes, *nodes)
    with errors.status("timing a few steps"):
        made = forecast(prepared, slots)
    print_forecast(console, made, notes)


def _executor(serial: bool, slots: int | None, address: str | None, prepared: "Prepared") -> "Executor":
    if serial:
        from study.scheduling import serial_executor

        return serial_executor.serial
    modules: tuple[str, ...] = ()
    if address:
        from study.cluster.nodes import use_token
        from study.scheduling.driver import own_modules

        use_token()
        modules = own_modules(prepared)
    from study.scheduling.ray_executor import RayTune

    return RayTune(slots, address, modules=modules)


def _say_where(what: str, where: str) -> None:
    """A line behind its name, and below it where that is too long for one line."""
    line = f"{what:9}{where}"
    say(console, line if len(line) <= console.width else f"{what}\n{where}")
