"""A study of two datasets whose subjects have the same names, from its file to every place where it is shown."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import moving_patch
import pytest
from made_up_study import in_store

from analysis.report.report import report
from analysis.results.load import load_results
from search_spaces.study_file import load_study
from study.ledger.audit import audit
from study.ledger.schema import read_only
from study.planning import prepared_study
from study.planning.status import status
from study.scheduling import serial_executor
from study.scheduling.ray_executor import RayTune
from study.search.optuna_journal import write_journal
from study.tracking.mirror_process import mirror
from tests.golden_digest import golden_digest
from tests.training_run import train

SUBJECTS = 2 * moving_patch.SUBJECTS
FILE = Path(__file__).parents[1] / "ledger/older/begun.yaml"


def run(storage: Path, data: Path, executor=serial_executor.serial, name: str = "both") -> Path:
    parts = {"storage": str(storage), "name": name, "baseline.epochs": 4}
    study = prepared_study.prepare(load_study(FILE, parts, data=data), FILE.read_text())
    assert train(study, executor) == 0
    return study.folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("composite") / "clips"
    moving_patch.write(folder, ("casme2", "samm"))
    return folder


@pytest.fixture(scope="module")
def composite(tmp_path_factory, data) -> Path:
    return run(tmp_path_factory.mktemp("composite") / "studies", data)


def states(folder: Path) -> dict[str, int]:
    with closing(read_only(folder)) as db:
        return dict(db.execute("select state, count(*) from outcome group by state").fetchall())


@pytest.mark.slow
def test_composite_races_and_reports_both_datasets(composite):
    assert audit(composite).problems == ()
    assert states(composite)["pruned"] > 0, "no proposal lost its race: nothing is proved of their order"
    results = load_results(str(composite))
    runs = {run.trial: run for run in results.trials}
    rows = results.predictions
    for trial, own in rows.groupby("trial"):
        clips = len(own) / len(runs[trial].seeds)
        assert clips == 5 * SUBJECTS if runs[trial].state == "complete" else 0 < clips < 5 * SUBJECTS
    assert set(rows.held_out) == {f"{dataset}/s{i}" for dataset in ("casme2", "samm") for i in range(6)}
    tables = {table.name: table for table in report(results).tables()}
    by_dataset = tables["confirm-datasets"]
    assert [column.title for column in by_dataset.columns if "UF1" in column.title] == [
        "UF1 (pooled)",
        "UF1 casme2",
        "UF1 samm",
    ]
    assert len(by_dataset.rows) >= 4


@pytest.mark.slow
def test_composite_in_mlflow_journal_and_status(composite):
    assert "runs" in mirror(composite, None)
    shown = in_store(composite)
    with closing(read_only(composite)) as db:
        ended = db.execute("select trial, state, value from outcome").fetchall()
    assert len(shown) == len(ended) + 1
    for trial, state, value in ended:
        metrics = shown[f"trial/{trial}"]["metrics"]
        assert "partial/uf1" in metrics if state == "pruned" else metrics["uf1"][-1][0] == round(value, 4)
    assert write_journal(composite).stat().st_size > 0
    assert sum(stage.folds for stage in status(composite).stages) == folds(composite)


def folds(folder: Path) -> int:
    with closing(read_only(folder)) as db:
        return db.execute("select count(*) from fold").fetchone()[0]


@pytest.mark.slow
def test_composite_goes_on_and_is_copied_from(composite, data, tmp_path):
    storage = tmp_path / "studies"
    shutil.copytree(composite.parent, storage)
    with closing(sqlite3.connect(storage / "both/ledger.sqlite")) as db:
        for table in ("outcome", "told", "proposal"):
            db.execute(f"delete from {table} where trial > 9")
        db.execute("delete from fold where configuration not in (select key from proposal)")
        db.commit()
    assert folds(storage / "both") < folds(composite)
    assert golden_digest(run(storage, data)) == golden_digest(composite)
    copy = run(storage, data, name="copy")
    with closing(read_only(copy)) as db:
        assert db.execute("select count(*) from fold where origin is null").fetchone()[0] == 0


@pytest.mark.slow
def test_composite_has_one_digest_under_serial_and_ray(composite, data, tmp_path):
    assert golden_digest(run(tmp_path / "studies", data, RayTune(slots=2))) == golden_digest(composite)
