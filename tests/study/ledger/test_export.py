"""The export: what is in the Parquet files is what is in the ledger."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.results.load import load_results
from analysis.results.results import METADATA_KEY
from analysis.stats.metrics import uf1
from study.ledger.export import export
from study.ledger.schema import read_only
from study.ledger.writer import Ledger
from tests.golden_digest import golden_digest


@pytest.fixture
def folder(small):
    return small.run(stages={"ablate": {"design": "one_at_a_time", "seeds": 2, "controls": ["null"]}})


def test_the_analysis_reads_what_the_ledger_holds(folder):
    results = load_results(folder)
    with read_only(folder) as db:
        values = dict(db.execute("select trial, value from outcome").fetchall())
        clips = sum(len(json.loads(row["predictions"])) for row in db.execute("select predictions from fold"))
    assert len(results.predictions) == clips
    from analysis.stats.confusion import confusions

    counts = confusions(results)
    for (trial, _), own in zip(counts.runs, np.moveaxis(counts.counts, 1, 0), strict=True):
        assert float(uf1(own.sum(0))) == pytest.approx(values[trial])


def test_exporting_again_gives_the_same_bytes(folder):
    files = [folder / "predictions.parquet", folder / "trials.parquet", folder / "study.yaml"]
    before = [file.read_bytes() for file in files]
    export(folder)
    assert [file.read_bytes() for file in files] == before


def test_a_study_that_another_code_went_on_with_says_so(folder):
    assert not load_results(folder).metadata.notes
    ledger = Ledger(folder)
    ledger.db.execute("update attempt set provenance = json_set(provenance, '$.code', 'other') where id = 1")
    ledger.close()
    export(folder)
    assert "training code changed" in load_results(folder).metadata.notes[0]


def test_no_path_host_or_time_in_the_predictions(folder):
    rows = pq.read_table(folder / "predictions.parquet").to_pandas().to_csv()
    assert str(folder.parent) not in rows
    metadata = pq.read_schema(folder / "trials.parquet").metadata[METADATA_KEY]
    assert "clips" not in json.loads(metadata)
    assert len(golden_digest(folder)) == 64
