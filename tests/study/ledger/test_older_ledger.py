"""A storage that losolab wrote at commit e2f47eb: it opens, goes on, reports and is copied from, with the same keys."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import moving_patch
import pytest

from analysis.report.report import report
from analysis.results.load import load_results
from search_spaces.spec import Resources
from search_spaces.study_file import load_study
from study.ledger.audit import audit
from study.ledger.export import export
from study.ledger.schema import read_only
from study.planning import prepared_study
from study.planning.status import status
from study.trials.trial import device_here
from tests.training_run import train

OLDER = Path(__file__).parent / "older"


class Older:
    """The study of older/begun.yaml in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.data, self.file = folder / "studies", folder / "clips", OLDER / "begun.yaml"
        self.folder = self.storage / "begun"

    def run(self, name: str = "begun", dataset: str | None = None) -> Path:
        parts = {"storage": str(self.storage), "name": name} | ({"dataset.name": dataset} if dataset else {})
        study = prepared_study.prepare(load_study(self.file, parts, data=self.data), self.file.read_text())
        assert train(study) == 0
        return study.folder


@pytest.fixture
def older(tmp_path: Path) -> Older:
    """As commit e2f47eb left it on this machine: its folds' arithmetic, which no key holds, is this machine's."""
    found = Older(tmp_path)
    moving_patch.write(found.data)
    found.folder.mkdir(parents=True)
    here = device_here(Resources(gpu=0))
    with closing(sqlite3.connect(found.folder / "ledger.sqlite")) as db:
        db.executescript((OLDER / "ledger.sql").read_text() + "pragma user_version = 2;")
        rows = db.execute("select rowid, arithmetic from fold").fetchall()
        for row, arithmetic in rows:
            mine = json.loads(arithmetic) | {"capability": here.capability, "torch": here.torch}
            db.execute("update fold set arithmetic=? where rowid=?", (json.dumps(mine, sort_keys=True), row))
        db.commit()
    return found


def folds(folder: Path) -> dict[str, list]:
    """The answers of every fold by key: class and clip, for last digits are another machine's."""
    with closing(read_only(folder)) as db:
        rows = db.execute("select key, predictions from fold").fetchall()
    return {key: [row[:3] for row in json.loads(predictions)] for key, predictions in rows}


def trained(folder: Path) -> int:
    """How many folds a study's attempts have trained since it began."""
    with closing(read_only(folder)) as db:
        return db.execute("select ifnull(sum(trained), 0) from attempt").fetchone()[0]


def test_it_is_whole_and_reports(older):
    found = audit(older.folder)
    assert (found.folds, found.problems, found.notes) == (174, (), ())
    assert [stage.folds for stage in status(older.folder).stages] == [54, 48, 72]
    export(older.folder)
    results = load_results(str(older.folder))
    assert len(results.predictions) == 810, "three pruned trials show their subjects up to the race's end"
    assert {trial.state for trial in results.trials} == {"complete", "pruned"}


def test_its_report_corrects_for_the_choice_that_all_subjects_made(older):
    """Whether its table was written by that losolab or, after going on, by this one: all of its subjects chose."""
    export(older.folder)
    for _ in range(2):
        made = report(load_results(str(older.folder)))
        assert made.results.metadata.chosen_by == () and made.selection.subjects == 6
        assert made.selection.difference is not None and 0 < made.selection.p <= 1
        for stage in made.stages:
            assert stage.chosen and stage.testers is None and stage.tests == 6
        verdicts = [cell.text for name in ("confirm", "ablate") for row in tables(made)[name] for cell in row.cells]
        assert sum("on subjects that chose it" in text for text in verdicts) == sum(len(s.family) for s in made.stages)
        older.run()


def tables(made):
    return {table.name: table.rows for table in made.tables()}


def test_it_goes_on_where_it_was_and_trains_what_was_lost(older):
    before = folds(older.folder)
    older.run()
    assert folds(older.folder) == before
    assert trained(older.folder) == 174
    with closing(sqlite3.connect(older.folder / "ledger.sqlite")) as db:
        db.execute("delete from outcome where trial > 8")
        db.execute("delete from told where trial > 8")
        lost = db.execute("select group_concat(key, ' ') from proposal where trial > 8").fetchone()[0].split()
        kept = [key for (key,) in db.execute("select key from proposal where trial <= 8")]
        db.executemany("delete from fold where configuration = ?", [(key,) for key in set(lost) - set(kept)])
        db.execute("delete from proposal where trial > 8")
        db.commit()
    left = len(folds(older.folder))
    assert left < 100
    older.run()
    after = folds(older.folder)
    assert after.keys() == before.keys()
    assert trained(older.folder) == 174 + len(before) - left
    same = sum(after[key] == before[key] for key in before)
    assert same > 0.9 * len(before), "an answer may only change by a last digit of another machine"


def test_another_study_copies_its_folds(older):
    copy = older.run("again")
    assert trained(copy) == 0
    assert folds(copy) == folds(older.folder)


def test_a_name_of_the_dataset_is_shown_and_in_no_key(older):
    before = trained(older.folder), folds(older.folder)
    older.run(dataset="Moving patches")
    assert (trained(older.folder), folds(older.folder)) == before
    export(older.folder)
    results = load_results(str(older.folder))
    assert results.metadata.dataset == "Moving patches" and set(results.predictions.dataset) == {"manifest"}
