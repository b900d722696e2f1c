"""Commands around a cluster: `losolab doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from search_spaces.spec import StudySpec
from search_spaces.study_file import READY, load_study

if TYPE_CHECKING:
    from study.doctor import Finding

console = Console(highlight=False)


def doctor(
    study: Annotated[Path, typer.Argument(help="the study that is to run")] = READY / "default.yaml",
    data: Annotated[Path | None, typer.Option(help="the dataset's folder or manifest")] = None,
    storage: Annotated[Path | None, typer.Option(help="where studies, caches and the MLflow store lie")] = None,
    address: Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="a running Ray cluster")] = None,
    cluster: Annotated[Path | None, typer.Option(help="a cluster file, before `ray up`: its machines, by SSH")] = None,
    tracking_uri: Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="an MLflow server")] = None,
) -> None:
    """Look for what would keep a study from running: here, on a running cluster, or before one is brought up.

    Ends with 2 where something has to be mended.
    """
    from study import doctor as look

    if cluster is not None:
        findings = look.launchable(cluster)
    else:
        parts = {"storage": storage and str(storage), "tracking_uri": tracking_uri}
        spec = load_study(study, {key: value for key, value in parts.items() if value is not None}, data=data)
        findings = _on_cluster(address, spec) if address else look.here(spec.storage, spec.tracking_uri)
    look.show(findings, console)
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(2)


def _on_cluster(address: str, spec: StudySpec) -> "list[Finding]":
    from study import cluster, doctor, driver

    prepared = driver.prepare(spec, "")
    members = cluster.members_of(address)
    return doctor.of_cluster(members, driver.pixels(prepared), spec.storage, spec.tracking_uri)
