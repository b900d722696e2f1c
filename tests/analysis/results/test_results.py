import copy

import pyarrow.parquet as pq
import pytest

from analysis.results.load import load_results
from analysis.results.results import METADATA_KEY
from search_spaces.errors import UserError


@pytest.fixture()
def study(simulate, arm):
    return copy.deepcopy(simulate((arm("baseline", 0.7), arm("other", 0.5)), subjects=4))


def problems(study):
    with pytest.raises(UserError) as caught:
        study.results()
    return caught.value.problems


def test_load_reads_what_the_export_writes(study, tmp_path):
    results = load_results(study.save(tmp_path))
    assert [run.name for run in results.trials] == ["arm 'baseline'"] * 3 + ["arm 'other'"] * 3
    assert results.trials[3].factors["depth"] == 1 and results.trials[0].why is None
    assert results.metadata.classes == ("negative", "positive", "surprise")
    assert results.metadata.arms[1].arm == "other"
    assert len(results.predictions) == len(study.predictions)


def test_all_refusals_come_at_once_with_arm_seed_subject_and_clip(study):
    rows = study.predictions
    clips = len(rows) // 6
    rows.append(dict(rows[0]))  # twice: baseline, seed 1
    rows[clips + 1]["y_true"] = next(c for c in study.metadata["classes"] if c != rows[clips + 1]["y_true"])
    rows[2]["y_pred"] = "sleepy"
    rows[3]["probabilities"] = [1.0]
    gone = rows.pop(3 * clips)  # missing: other, seed 1
    found = problems(study)
    first, other = rows[0], rows[clips + 1]
    assert f"arm 'baseline', seed 1, subject '{first['subject']}': clip {first['clip_id']} is predicted twice" in found
    assert any(
        f"arm 'other', seed 1, subject '{gone['subject']}': clip {gone['clip_id']} is missing" in p for p in found
    )
    assert any(f"seed 2, subject '{other['subject']}': clip {other['clip_id']} has another y_true" in p for p in found)
    assert any("has a y_pred that is none of negative, positive, surprise" in p for p in found)
    assert any("needs 3 probabilities" in p for p in found)
    assert len(found) == 5


def test_a_seed_without_any_prediction_is_missing_whole(study):
    rows = [row for row in study.predictions if (row["arm"], row["seed"]) != ("other", 2)]
    study.predictions[:] = rows
    found = problems(study)
    assert len(found) == 4 and all("arm 'other', seed 2" in p and "missing" in p for p in found)


def test_many_problems_are_counted_not_poured_out(simulate, arm):
    study = copy.deepcopy(simulate((arm("baseline", 0.7, seeds=tuple(range(20))),), subjects=6))
    for row in study.predictions:
        row["y_pred"] = "sleepy"
    found = problems(study)
    assert len(found) == 41 and found[-1].startswith("... and 80 more")


def test_trials_that_contradict_the_study(study):
    study.trials[0]["state"] = "asleep"
    study.trials[1]["arm"] = "stranger"
    study.trials[2]["seeds"] = [99]
    study.metadata["baseline"] = "nobody"
    study.metadata["arms"].append(dict(study.metadata["arms"][1]))
    found = problems(study)
    for part in ("'asleep'", "'stranger'", "seed 3: has predictions", "'nobody'", "arm 'other': there twice"):
        assert any(part in problem for problem in found), part


def test_a_class_that_never_occurs_and_a_single_subject(study):
    study.metadata["classes"] = ["negative", "positive", "surprise", "never"]
    for row in study.predictions:
        row["subject"], row["probabilities"] = "s00", [0.25] * 4
    found = problems(study)
    assert any("class 'never'" in p for p in found)
    assert any("subject 's00' is the only one" in p for p in found)


def test_incomplete_trials_are_kept_apart(simulate, arm):
    study = simulate((arm("baseline", 0.7), arm("half", 0.6, states={2: "failed"})), subjects=4)
    results = study.results()
    assert {run.state for run in results.trials} == {"complete", "failed"}
    failed = next(run.trial for run in results.trials if run.state == "failed")
    assert failed in {row["trial"] for row in study.predictions}
    assert failed not in set(results.predictions.trial)


def test_a_study_without_any_complete_trial_loads(simulate, arm):
    results = simulate((arm("baseline", 0.7, states={1: "running", 2: "running", 3: "failed"}),), subjects=4).results()
    assert len(results.predictions) == 0


def test_files_that_are_not_there_or_not_ours(study, tmp_path):
    with pytest.raises(UserError, match=r"trials\.parquet: not there"):
        load_results(tmp_path)
    study.save(tmp_path)
    trials = pq.read_table(tmp_path / "trials.parquet")
    pq.write_table(trials.replace_schema_metadata({METADATA_KEY: b'{"name": "x"}'}), tmp_path / "trials.parquet")
    with pytest.raises(UserError, match="no valid study metadata"):
        load_results(tmp_path)
    pq.write_table(trials.drop_columns(["seeds"]), tmp_path / "trials.parquet")
    with pytest.raises(UserError, match="columns missing: seeds"):
        load_results(tmp_path)
    (tmp_path / "trials.parquet").write_bytes(b"not parquet")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        load_results(tmp_path)
