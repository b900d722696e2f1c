"""Commands around a cluster: `losolab doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search_spaces import READY
from study.cli.options import Address, Data, Labels, Reader, Storage, Tracking, load
from study.cli.terminal import make_console

if TYPE_CHECKING:
    from search_spaces.spec import StudySpec
    from study.cluster.checks import Finding

console = make_console()


def doctor(
    study: Annotated[Path, typer.Argument(help="the study that is to run")] = READY / "default.yaml",
    data: Data = None,
    reader: Reader = None,
    labels: Labels = None,
    storage: Storage = None,
    address: Address = None,
    cluster: Annotated[Path | None, typer.Option(help="a cluster file, before `ray up`: its machines, by SSH")] = None,
    tracking_uri: Tracking = None,
) -> None:
    """Look for what would keep a study from running: here, on a running cluster, or before one is brought up.

    Ends with 2 where something has to be mended.
    """
    from study.cluster import checks as look

    if cluster is not None:
        findings = look.launchable(cluster)
    else:
        spec = load(study, data=data, reader=reader, labels=labels, storage=storage, tracking_uri=tracking_uri)
        findings = (
            _on_cluster(address, spec)
            if address
            else look.here(spec.storage, spec.tracking_uri, spec.baseline_config())
        )
    look.show(findings, console)
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(2)


def _on_cluster(address: str, spec: "StudySpec") -> "list[Finding]":
    from study.cluster import checks, nodes
    from study.scheduling import driver

    prepared = driver.prepare(spec, "")
    members = nodes.members_of(address, spec.baseline_config())
    return checks.of_cluster(members, driver.pixels(prepared), spec.storage, spec.tracking_uri)
