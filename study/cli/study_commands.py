"""Commands on a study: `losolab plan | run | status`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search_spaces import READY
from search_spaces.errors import UserError
from study.cli.options import (
    Address,
    Data,
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
)
from study.cli.terminal import console, errors, say, say_where

if TYPE_CHECKING:  # commands import what they need: `losolab --help` and `report` need neither torch nor ray
    from study.planning.prepared_study import Study as PreparedStudy
    from study.scheduling.serial_executor import Executor

_OVERCOMMITTED = 16  # threads of a trial a processor: torch dies of some thousands


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
    from study.planning.prepared_study import prepare

    prepared = prepare(spec, find_study(study).read_text(encoding="utf-8"))
    if dry_run:
        _print_plan(prepared, slots, None if serial else address)
        return
    executor = _executor(serial, slots, address, prepared)
    ray = "" if serial else f"joining the Ray cluster at {address} ..." if address else "starting Ray ..."
    failed = _trained(prepared, executor, ray, accept_code=accept_code, mixed=mixed, retry_failed=retry_failed)
    if failed:
        say(errors, "the report says why; --retry-failed tries them again", f"{failed} trials failed;", "red")
        raise typer.Exit(1)


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
    from study.planning.prepared_study import prepare

    _print_plan(prepare(spec, ""), slots, address)


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


def _trained(
    prepared: "PreparedStudy",
    executor: "Executor",
    starting: str,
    *,
    accept_code: bool,
    mixed: bool,
    retry_failed: bool,
) -> int:
    """Decode, train, mirror and report, with what is said of it; returns how many trials failed."""
    from study.cli import reporting
    from study.cli.preparation_display import Preparing
    from study.cli.progress_display import Display
    from study.planning.cost_model import Costs
    from study.planning.prepared_study import load_clips
    from study.planning.remaining_work import Outlook
    from study.scheduling import driver
    from study.tracking.mirror_process import mirrored

    try:
        with Preparing(console) as preparing:
            clips = load_clips(prepared, preparing.begin)
        with (
            driver.begun(prepared, clips, accept_code=accept_code, mixed=mixed) as ledger,
            mirrored(prepared.folder, prepared.spec.tracking_uri) as mirror,
        ):
            if starting:
                say(console, starting)
            outlook = Outlook(prepared.plan, Costs(expected=prepared.plan.costs.seconds))
            with Display(console, outlook) as display:
                failed = driver.train(prepared, clips, ledger, executor, display, retry_failed=retry_failed)
            report_path = reporting.write([str(prepared.folder)], prepared.folder / "report", console)
    except KeyboardInterrupt as stopped:
        kept = "stopped; every finished block is in the ledger: the same command goes on from there"
        raise KeyboardInterrupt(str(stopped) or kept) from None
    say_where(console, "report", str(report_path))
    say_where(console, "mlflow", f"{mirror.summary()}; open it with: losolab mlflow ui {prepared.folder}")
    return failed


def _say_more() -> None:
    from rich.logging import RichHandler

    logging.basicConfig(handlers=[RichHandler(console=console, show_path=False, markup=False)], format="%(message)s")
    logging.getLogger("losolab").setLevel(logging.INFO)


def _print_plan(prepared: "PreparedStudy", slots: int | None, address: str | None) -> None:
    from study.cli.plan_view import nodes_that_serve, print_forecast
    from study.planning.class_folds import class_folds
    from study.planning.forecast import forecast

    notes = prepared.index.notes
    if address:
        from study.cluster.nodes import members_of

        held, nodes = nodes_that_serve(members_of(address), prepared.spec.resources)
        slots, notes = slots or held, (*notes, *nodes)
    with errors.status("timing a few steps"):
        made = forecast(prepared, slots)
    print_forecast(console, made, notes, class_folds(prepared.index, prepared.spec.protocol))


def _executor(serial: bool, slots: int | None, address: str | None, prepared: "PreparedStudy") -> "Executor":
    if serial:
        from study.scheduling import serial_executor

        return serial_executor.serial
    modules: tuple[str, ...] = ()
    if address:
        from study.cluster.ray_session import use_token
        from study.planning.prepared_study import own_modules

        use_token()
        modules = own_modules(prepared)
    from study.scheduling.ray_executor import RayTune

    return RayTune(slots, address, modules=modules)
