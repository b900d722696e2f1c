"""The command line: `losolab run | plan | check | report | journal | ui | sync | synthesize | ...`."""

import logging
import os
import sys
from pathlib import Path
from sqlite3 import DatabaseError
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from search_spaces.errors import UserError
from search_spaces.spec import StudySpec
from search_spaces.study_file import READY, load_study
from study import cluster_commands, data_commands, ledger_commands
from study.terminal import plain, print_table

if TYPE_CHECKING:  # commands import what they need: `losolab --help` and `report` need neither torch nor ray
    from study.driver import Study as Prepared
    from study.executors import Executor

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(data_commands.look)
app.command()(cluster_commands.doctor)
app.add_typer(data_commands.cache, name="cache")
app.add_typer(ledger_commands.app, name="ledger")
# What losolab[run] adds to the plain install.
_RUN_ONLY = frozenset({"PIL", "av", "decord", "mlflow", "openpyxl", "optuna", "ray", "torch"})
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Study = Annotated[Path, typer.Argument(help="a study file; the default study where none is given")]
Folder = Annotated[Path, typer.Argument(help="a study's folder: STORAGE/NAME")]
Data = Annotated[Path | None, typer.Option(help="the dataset's folder or manifest, in place of the study file's")]
Storage = Annotated[Path | None, typer.Option(help="where studies, caches and the MLflow store lie")]
Trials = Annotated[int | None, typer.Option(min=1, help="proposals of the search stage")]
Seeds = Annotated[int | None, typer.Option(min=1, help="seeds of every arm of the fixed designs")]
Slots = Annotated[int | None, typer.Option(min=1, help="trials at a time; as many as fit where not given")]
Resources = Annotated[str | None, typer.Option(help="of one trial, e.g. cpu=1,gpu=0.25,memory=4 (GiB)")]
Address = Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="a running Ray cluster")]


def main(arguments: list[str] | None = None) -> None:
    """Run a command. A user's mistake is told without a traceback, with exit code 2."""
    try:
        app(arguments, prog_name="losolab")
    except UserError as mistake:
        for problem in mistake.problems:
            errors.print(f"[red]error:[/] {plain(problem)}", soft_wrap=True)
        sys.exit(2)
    except DatabaseError as problem:  # a damaged page, or a disk that fills up while a ledger is copied
        errors.print(f"[red]error:[/] the ledger cannot be read or copied: {plain(str(problem))}", soft_wrap=True)
        errors.print("losolab ledger check FOLDER says whether it is damaged", soft_wrap=True)
        sys.exit(2)
    except OSError as problem:  # a full disk, a folder that may not be written: the system's own words say it best
        errors.print(f"[red]error:[/] {plain(str(problem))}", soft_wrap=True)
        sys.exit(2)
    except ModuleNotFoundError as missing:
        if missing.name not in _RUN_ONLY:
            raise
        errors.print(f"[red]error:[/] {missing.name} is not installed: pip install 'losolab\\[run]' brings what trains")
        sys.exit(2)


@app.command()
def run(
    study: Study = READY / "default.yaml",
    data: Data = None,
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
    tracking_uri: Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="an MLflow server")] = None,
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
    from study import driver

    if verbose:
        _say_more()
    if serial and slots:
        raise UserError("--serial runs one trial at a time: leave out --slots, or --serial")
    spec = _load(
        study,
        data=data,
        trials=trials,
        seeds=seeds,
        storage=storage,
        resources=resources,
        tracking_uri=tracking_uri,
    )
    prepared = driver.prepare(spec, study.read_text(encoding="utf-8"))
    if dry_run:
        _print_plan(prepared, slots, None if serial else address)
        return
    executor = _executor(serial, slots, address, spec)
    from study.tracking import mirrored

    try:
        clips = driver.load_clips(prepared, console)
        with (
            driver.begun(prepared, clips, accept_code=accept_code, mixed=mixed) as ledger,
            mirrored(prepared.folder, spec.tracking_uri) as mirror,
        ):
            failed = driver.train(prepared, clips, ledger, executor, console, retry_failed=retry_failed)
            report_path = _report([str(prepared.folder)], prepared.folder / "report")
    except KeyboardInterrupt as stopped:
        kept = "stopped; every finished block is in the ledger: the same command goes on from there"
        errors.print(str(stopped) or kept, soft_wrap=True)
        raise typer.Exit(130) from None
    typer.echo(f"\nreport   {report_path}")
    typer.echo(f"mlflow   {mirror.summary()}; open it with: losolab ui {prepared.folder}")
    if failed:
        errors.print(f"[red]{failed} trials failed[/]; the report says why; --retry-failed tries them again")
        raise typer.Exit(1)


@app.command()
def plan(
    study: Study = READY / "default.yaml",
    data: Data = None,
    trials: Trials = None,
    seeds: Seeds = None,
    storage: Storage = None,
    resources: Resources = None,
    slots: Slots = None,
    address: Address = None,
) -> None:
    """Print what a study would train, what it would cost and what it could find. Starts and writes nothing."""
    from study import driver

    spec = _load(study, data=data, trials=trials, seeds=seeds, storage=storage, resources=resources)
    _print_plan(driver.prepare(spec, ""), slots, address)


@app.command()
def status(
    study: Annotated[Path, typer.Argument(help="a study file, or a study's folder: STORAGE/NAME")],
    storage: Storage = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="show it anew until the run ends")] = False,
) -> None:
    """Say how far a running or stopped study is, beside its run."""
    from study import status_view

    spec = None if study.is_dir() else _load(study, storage=storage)
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
    from study import check as checking

    options = checking.options_of(labels, option or [])
    with errors.status("reading the dataset") as line:
        found = checking.check(
            reader, path, options, decode=decode, progress=lambda done, of: line.update(f"decoding {done} of {of}")
        )
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
    from study.export import export
    from study.ledger import ledger_path

    for path in map(Path, paths):
        if ledger_path(path).is_file():
            export(path)
    own = Path(paths[0]) / "report" if len(paths) == 1 and Path(paths[0]).is_dir() else Path("report")
    typer.echo(f"\nreport   {_report(paths, out or own, baseline, literature)}")


@app.command()
def ui(
    folder: Folder,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    tracking_uri: Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="an MLflow server")] = None,
) -> None:
    """Open the MLflow UI on a study's store, at its table of runs."""
    from study.mlflow_ui import serve

    serve(folder, tracking_uri, port, typer.echo)


@app.command()
def sync(
    folder: Folder,
    tracking_uri: Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="an MLflow server")] = None,
) -> None:
    """Send MLflow what it does not have of a study."""
    from study.tracking import mirror

    typer.echo(f"mlflow   {mirror(folder, tracking_uri)}")


@app.command()
def journal(folder: Folder) -> None:
    """Write a study's searches as a journal that optuna-dashboard opens."""
    from study.journal import write_journal

    typer.echo(f"journal  {write_journal(folder)}; open it with: optuna-dashboard {folder / 'optuna.log'}")


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
    from study.data.synthesis import synthesize as write
    from study.data.synthetic import Synthetic

    spec = Synthetic(subjects=subjects, clips=clips, seed=seed, mislabelled=mislabelled, motion=motion)
    with console.status("rendering"):
        write(folder, spec)
    console.print(f"wrote {folder}: clips.csv, truth.json and the videos")


def _load(
    study: Path,
    *,
    data: Path | None = None,
    trials: int | None = None,
    seeds: int | None = None,
    storage: Path | None = None,
    resources: str | None = None,
    tracking_uri: str | None = None,
) -> StudySpec:
    """The study file with the options in their places."""
    options = {"storage": storage and str(storage), "tracking_uri": tracking_uri}
    given = {key: value for key, value in options.items() if value is not None} | _parsed(resources)
    spec = load_study(study, given, data=data, proposals=trials, seeds=seeds)
    _importable(study.resolve().parent)
    return spec


def _importable(folder: Path) -> None:
    """A reader or network of the user's own may lie beside the study file, for us and the processes that we start."""
    if folder != READY:
        sys.path.append(str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(folder)]))


def _say_more() -> None:
    logging.basicConfig(handlers=[RichHandler(console=console, show_path=False, markup=False)], format="%(message)s")
    logging.getLogger("losolab").setLevel(logging.INFO)


def _print_plan(prepared: "Prepared", slots: int | None, address: str | None) -> None:
    from study.forecast import forecast
    from study.plan_view import nodes_that_serve, print_forecast

    notes = prepared.index.notes
    if address:
        from study.cluster import members_of

        held, nodes = nodes_that_serve(members_of(address), prepared.spec.resources)
        slots, notes = slots or held, (*notes, *nodes)
    with errors.status("timing a few steps"):
        made = forecast(prepared, slots)
    print_forecast(console, made, notes)


def _parsed(resources: str | None) -> dict[str, str]:
    if resources is None:
        return {}
    parts = [part.partition("=") for part in resources.split(",")]
    if wrong := ["".join(part) for part in parts if not part[1]]:
        raise UserError(f"--resources {resources}: {wrong[0]!r} is not NAME=NUMBER, e.g. cpu=1,gpu=0.25,memory=4")
    return {f"resources.{name.strip()}": amount.strip() for name, _, amount in parts}


def _executor(serial: bool, slots: int | None, address: str | None, spec: StudySpec) -> "Executor":
    if serial:
        from study import executors

        return executors.serial
    modules: tuple[str, ...] = ()
    if address:
        from study.cluster import use_token
        from study.driver import own_modules

        use_token()
        modules = own_modules(spec)
    from study.tune import RayTune

    return RayTune(slots, address, modules=modules)


def _report(paths: list[str], out: Path, baseline: str | None = None, literature: Path | None = None) -> Path:
    """Write the report of these results, print what it opens with and its table; the path of report.html."""
    from analysis import report
    from analysis.literature import read
    from analysis.results import Results

    published = read(literature) if literature else ()
    made = report.report(Results.load(*paths, baseline=baseline), published)
    for warning in made.warnings:
        console.print(f"[yellow]![/] {plain(warning)}")
    for table in made.tables()[:1]:
        print_table(console, table)
    return report.publish(made, out)
