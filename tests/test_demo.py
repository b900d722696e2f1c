"""`make demo`, as a newcomer runs it, in the environment at hand: it ends, and the planted answer comes out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT = ("report/report.html", "report/report.md", "report/table.tex", "report/table.csv", "predictions.parquet")


@pytest.mark.slow
def test_make_demo(tmp_path):
    clone = tmp_path / "losolab"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    done = subprocess.run(
        ["make", "demo", "READY=", f"BIN={Path(sys.executable).parent}"],
        cwd=clone,
        env=environment | {"PYTHONPATH": str(clone)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "baseline" in done.stdout
    study = clone / "demo/default"
    for name in (*LEFT, "trials.parquet"):
        assert (study / name).stat().st_size > 0
    found = json.loads((study / "report/report.json").read_text())
    planted = found["tables"]["ablate-planted"]
    assert [row["agrees"] for row in planted["rows"]].count("yes") >= 5, planted
    runs = _mlflow_runs(clone / "demo/mlflow.db")
    assert len(runs) == 49
    trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(trials) == 48
    assert all("depth" in run.data.params for run in trials)
    whole = [run for run in trials if run.data.tags["losolab.status"] != "pruned"]
    assert len(whole) >= 38 + 2  # the arms, and of the search at least what nothing could stop
    assert all({"uf1", "uar", "accuracy"} <= set(run.data.metrics) for run in whole)
    assert subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, check=True).stdout == b""


def _mlflow_runs(store: Path) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "default"]
    return client.search_runs([experiment.experiment_id], max_results=100)
