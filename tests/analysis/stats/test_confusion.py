import numpy as np
import pyarrow as pa

from analysis.results.results import PREDICTIONS, TRIALS, Results
from analysis.stats.confusion import confusions


def test_every_clip_is_counted_once_in_every_run(simulate, arms):
    results = simulate(search=4).results()
    counted = confusions(results)
    clips = results.predictions.clip_id.nunique()
    assert counted.counts.shape == (12, 3 * 2 + 3 * len(arms), 3, 3)
    assert (counted.counts.sum((0, 2, 3)) == clips).all()
    true = counted.counts.sum(-1)
    assert (true == true[:, :1]).all()  # the truth of a subject is the same in every run


def test_cells_by_hand(simulate):
    results = simulate().results()
    counted, rows = confusions(results), results.predictions
    trial, seed = counted.runs[4]
    mine = rows[(rows.trial == trial) & (rows.seed == seed) & (rows.subject == "s03")]
    classes = results.metadata.classes
    expected = [[((mine.y_true == t) & (mine.y_pred == p)).sum() for p in classes] for t in classes]
    assert counted.counts[counted.subjects.index(("toy", "s03")), 4].tolist() == expected


def test_the_order_of_rows_changes_nothing(simulate):
    study = simulate()
    shuffled = np.random.default_rng(0).permutation(len(study.predictions))
    rows = pa.Table.from_pylist([study.predictions[i] for i in shuffled], PREDICTIONS)
    runs = pa.Table.from_pylist(study.trials[::-1], TRIALS)
    one = confusions(study.results())
    other = confusions(Results.of(rows, runs, study.results().metadata))
    assert (one.subjects, one.runs) == (other.subjects, other.runs)
    assert (one.counts == other.counts).all()


def test_the_same_name_in_two_datasets_is_two_subjects(simulate):
    study = simulate()
    for row in study.predictions:
        if row["subject"] in ("s00", "s01"):
            row["dataset"], row["subject"] = ("other", "s02") if row["subject"] == "s00" else ("toy", "s01")
    subjects = confusions(study.results()).subjects
    assert ("other", "s02") in subjects and ("toy", "s02") in subjects and len(subjects) == 12
