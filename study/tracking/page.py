"""What MLflow's page of a study shows when it is opened: the best UF1 first, and the factors that vary as columns.

MLflow keeps a view that somebody shares as a tag of the experiment, in the JSON of its own page (found by reading the
page of 3.17; undocumented). Where another version does not know it, the page opens without these columns.
"""

import json
from typing import Any

VIEW = "losolab"
TAG = f"mlflow.sharedViewState.{VIEW}"
_ALWAYS = ("0", "attributes.`Run Name`", "runDateAndNestInfo")  # the columns that it shows before all others
_WIDTH = 100  # pixels
_SECTION = "Factors and UF1"


def experiment_tags(factors: tuple[str, ...]) -> dict[str, str]:
    """The experiment's tags that make its page."""
    return {TAG: json.dumps(_state(factors), sort_keys=True), "mlflow.experiment.primaryMetric.name": "uf1"}


def runs_address(address: str, experiment: dict[str, Any]) -> str:
    """The page of an experiment as the server describes it: with the columns of the factors where it has the tag."""
    page = f"{address}/#/experiments/{experiment['experiment_id']}/runs?workflowType=machine_learning"
    if any(tag["key"] == TAG for tag in experiment.get("tags", ())):
        return f"{page}&viewStateShareKey={VIEW}"  # an order in the address would hide the view
    return f"{page}&orderByKey=metrics.%60uf1%60&orderByAsc=false"


def _state(factors: tuple[str, ...]) -> dict[str, Any]:
    columns = [
        *(f"metrics.`{name}`" for name in ("uf1", "uf1_low", "uf1_high")),
        *(f"params.`{name}`" for name in factors),
        *(f"metrics.`{name}`" for name in ("uar", "accuracy", "partial/uf1", "seconds")),
        *(f"tags.`{name}`" for name in ("stage", "arm", "seed", "losolab.status")),
    ]
    return {
        "orderByKey": "metrics.`uf1`",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": [*_ALWAYS, *columns, "duration"],
        "columnWidths": dict.fromkeys(columns, _WIDTH),
        "runsHiddenMode": "SHOW_ALL",
        "compareRunSections": [_section(_SECTION), _section("Model metrics")],
        "compareRunCharts": [_parallel(factors), _bar("uf1")],
    }


def _section(name: str) -> dict[str, Any]:
    own = {"uuid": name, "name": name, "display": True, "columns": 2}
    return own | {"isReordered": False, "deleted": False, "isGenerated": False}


def _parallel(factors: tuple[str, ...]) -> dict[str, Any]:
    return _chart("PARALLEL") | {"selectedParams": list(factors), "selectedMetrics": ["uf1"], "showAllRuns": False}


def _bar(metric: str) -> dict[str, Any]:
    return _chart("BAR") | {"metricKey": metric, "displayName": metric}


def _chart(kind: str) -> dict[str, Any]:
    own = {"type": kind, "uuid": f"{VIEW}-{kind}", "metricSectionId": _SECTION, "runsCountToCompare": 1000}
    return own | {"deleted": False, "isGenerated": False}
