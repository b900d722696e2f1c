"""Commands around a cluster: `losolab doctor`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from search_spaces import READY
from study.cli.options import Address, Data, Labels, Reader, Storage, Tracking, load
from study.cli.terminal import console, shown

if TYPE_CHECKING:
    from search_spaces.spec import StudySpec
    from study.cluster.checks import Diagnosis

_COLOURS = {"good": "green", "note": "yellow", "bad": "red"}


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
    from study.cluster import checks

    if cluster is not None:
        findings = checks.launchable(cluster)
    else:
        spec = load(study, data=data, reader=reader, labels=labels, storage=storage, tracking_uri=tracking_uri)
        findings = (
            _on_cluster(address, spec)
            if address
            else checks.here(spec.storage, spec.tracking_uri, spec.baseline_config())
        )
    _show(findings)
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(2)


def _on_cluster(address: str, spec: "StudySpec") -> "list[Diagnosis]":
    from study.cluster import checks, nodes
    from study.planning.prepared_study import pixels, prepare

    prepared = prepare(spec, "")
    members = nodes.members_of(address, spec.baseline_config())
    return checks.of_cluster(members, pixels(prepared), spec.storage, spec.tracking_uri)


def _show(findings: "Sequence[Diagnosis]") -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("where", "what", "", "found"):
        table.add_column(column)
    for finding in findings:
        told = shown(finding.found) + (f"\n→ {shown(finding.remedy)}" if finding.remedy else "")
        verdict = Text(finding.verdict, _COLOURS[finding.verdict])
        table.add_row(Text(shown(finding.where)), Text(finding.what), verdict, Text(told))
    console.print(table)
