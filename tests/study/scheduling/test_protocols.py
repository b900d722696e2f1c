"""Studies under other protocols than LOSO, end to end: what is trained, raced, chosen, audited, and claimed of it."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import moving_patch
import pytest
import yaml

from analysis.questions.ablation import ablations
from analysis.questions.nested import nested
from analysis.report.report import report
from analysis.results.load import load_results
from analysis.stats.confusion import confusions
from search_spaces.errors import UserError
from search_spaces.study_file import load_study
from study.ledger.audit import audit
from study.ledger.schema import has_begun
from study.ledger.snapshot import snapshot
from study.planning import prepared_study
from study.planning.status import status
from study.scheduling import serial_executor
from study.scheduling.ray_executor import RayTune
from study.search.optuna_journal import write_journal
from study.tracking.metrics import counts
from study.tracking.runs import study_runs
from study.trials.trial import run_trial
from tests.golden_digest import golden_digest
from tests.training_run import train

ROOT = Path(__file__).parents[3]
FILE = Path(__file__).parents[1] / "ledger/older/begun.yaml"
BASELINE = {"architecture": "full_face", "frames": 6, "crop": 16, "kernel_time": 3, "filters": 2, "hidden": 4}
ARMS = {
    "split, best epoch": {"protocol": {"kind": "holdout", "share": 0.25}, "checkpoint": "test_oracle"},
    "split": {"protocol": "holdout(0.25)"},
    "best epoch": {"checkpoint": "test_oracle"},
    "inner": {"checkpoint": "inner_validation"},
    "three folds": {"protocol": "subject_kfold(3)"},
    "datasets": {"protocol": "leave_one_dataset_out"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("protocols") / "clips"
    moving_patch.write(folder, ("casme2", "samm"))
    return folder


def prepared(tmp_path: Path, data: Path, name: str, **parts) -> prepared_study.Study:
    own = {"storage": str(tmp_path), "name": name} | parts
    return prepared_study.prepare(load_study(FILE, own, data=data), FILE.read_text())


def stopped_after(blocks: int):
    """An executor whose user stops it while a later block is trained."""
    left = count(blocks, -1)

    def run(*given):
        for block in run_trial(*given):
            if next(left) == 0:
                raise KeyboardInterrupt
            yield block

    return partial(serial_executor.serial, run=run)


@pytest.mark.slow
def test_practices_beside_each_other_are_marked_and_only_what_can_be_tested_is(tmp_path, data):
    stages = {"ablate": {"design": "listed", "seeds": 2, "arms": ARMS}}
    study = prepared(tmp_path, data, "ladder", baseline=BASELINE | {"epochs": 6}, stages=stages)
    assert study.plan.folds == 2 * (3 * 2 * moving_patch.SUBJECTS + 1 + 1 + 3 + 2)
    assert train(study) == 0
    assert audit(study.folder).problems == ()
    results = load_results(str(study.folder))
    (found,) = ablations(results)
    rows = {f.arm.arm: f for f in found.findings}
    assert {name: f.marks for name, f in rows.items() if f.marks} == {
        "split, best epoch": "†‡",
        "split": "‡",
        "best epoch": "†",
    }
    assert [f.arm.arm for f in found.family] == ["inner"]
    assert all(rows[name].gap.state == "not tested" for name in set(ARMS) - {"inner"})
    assert rows["split"].span[1] is None and rows["split"].difference[1] is None
    assert rows["three folds"].difference is not None
    assert rows["best epoch"].score.accuracy >= rows["baseline"].score.accuracy
    table = report(results).tables()[0]
    for text in (table.to_markdown(), table.to_csv()):
        assert "split, best epoch †‡" in text
    assert "split, best epoch $\\dagger$$\\ddagger$" in table.to_latex()
    told = status(study.folder)
    assert told.stages[0].best[0].startswith(("baseline", "inner", "three folds", "datasets"))
    for run in study_runs(study.folder).runs[1:]:
        names = {name for name, *_ in run.metrics}
        assert ("uf1" in names) == (not {"test_oracle", "holdout(0.25)"} & {*run.parameters.values()})
        assert counts(study.folder, run).shape[0] >= 2


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["subject_kfold(5)", "subject_kfold(12)"])
def test_a_search_over_folds_races_chooses_and_resumes_under_serial_and_ray(tmp_path, data, protocol):
    parts = {"protocol": protocol, "stages.search.chosen_by": 0.4, "baseline.epochs": 3}
    study = prepared(tmp_path, data, "serial", **parts)
    with pytest.raises(KeyboardInterrupt):
        train(study, stopped_after(3))
    assert train(study) == 0
    other = prepared(tmp_path / "ray", data, "serial", **parts)
    assert train(other, RayTune(slots=2)) == 0
    assert golden_digest(study.folder) == golden_digest(other.folder)
    assert audit(study.folder).problems == ()
    results = load_results(str(study.folder))
    own = results.predictions[results.predictions.stage == "search"]
    assert set(own.held_out) == {f"fold {i}" for i in range(1, study.plan.choosers + 1)}
    assert set(zip(own.dataset, own.subject, strict=True)) == set(results.metadata.chosen_by)
    assert write_journal(study.folder).exists()
    assert report(results).selection is not None


NESTED = {
    "protocol": {"kind": "nested_loso", "inner": 3},
    "baseline": BASELINE | {"epochs": 2},
    "stages": {
        "ablate": {
            "design": "listed",
            "seeds": 2,
            "controls": ["null"],
            "arms": {"depth": {"depth": 2}, "gray": {"filters": 3}},
        }
    },
}


def perfect_on_what_it_must_not_see(*given):
    """Trains, and lets the candidate `depth` answer right in outer folds and wrong in inner ones."""
    for block in run_trial(*given):
        if given[0].arm != "depth":
            yield block
            continue
        yield [replace(fold, predictions=answered(fold.predictions, ">" not in fold.held_out)) for fold in block]


def answered(predictions: str, right: bool) -> str:
    classes = sorted({true for _, true, *_ in json.loads(predictions)} | set(moving_patch.LABELS))
    rows = [
        [clip, true, true if right else classes[(classes.index(true) + 1) % 3], shares]
        for clip, true, _, shares in json.loads(predictions)
    ]
    return json.dumps(rows)


@pytest.mark.slow
def test_a_choice_inside_a_fold_never_sees_the_subject_it_is_made_for(tmp_path, data):
    """A candidate that is perfect on the outer subjects alone is chosen for none of them."""
    study = prepared(tmp_path, data, "nested", **NESTED)
    subjects = 2 * moving_patch.SUBJECTS
    assert study.plan.folds == 2 * (3 * subjects * (1 + 3) + subjects)
    assert train(study, partial(serial_executor.serial, run=perfect_on_what_it_must_not_see)) == 0
    assert audit(study.folder).problems == ()
    results = load_results(str(study.folder))
    assert len(results.metadata.chosen_inside) == 2 * subjects
    assert {arm for *_, arm in results.metadata.chosen_inside} <= {"baseline", "gray"}
    assert not results.predictions.held_out.str.contains(">").any()
    (found,) = ablations(results)
    inside = nested(results, confusions(results), found)
    assert inside.best == "depth" and inside.naive == 1
    assert inside.score.estimate < 0.9
    assert inside.times.total() == 2 * subjects
    assert any(table.name == "ablate-nested" for table in report(results).tables())
    assert {f.arm.arm for f in found.family} == {"depth", "gray"}
    (null,) = (f for f in found.findings if f.kind == "null")
    assert null.comparison is not None


@pytest.mark.slow
def test_a_nested_study_that_is_killed_has_one_digest_under_serial_and_ray(tmp_path, data):
    study = prepared(tmp_path / "here", data, "nested", **NESTED)
    with pytest.raises(KeyboardInterrupt):
        train(study, stopped_after(5))
    assert train(study) == 0
    (tmp_path / "ray").mkdir()
    (file := tmp_path / "nested.yaml").write_text(
        yaml.safe_dump(NESTED | {"name": "nested", "dataset": {"path": str(data)}})
    )
    command = [
        sys.executable,
        str(ROOT / "study/run.py"),
        str(file),
        "--storage",
        str(tmp_path / "ray"),
        "--slots",
        "2",
    ]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ledger = tmp_path / "ray/nested/ledger.sqlite"
    while not (ledger.exists() and has_begun(ledger.parent) and len(snapshot(ledger.parent).folds) > 20):
        assert driver.poll() is None, driver.stdout.read()
        time.sleep(0.1)
    driver.kill()
    driver.communicate()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert golden_digest(study.folder) == golden_digest(ledger.parent)
    chosen = [load_results(str(folder)).metadata.chosen_inside for folder in (study.folder, ledger.parent)]
    assert chosen[0] == chosen[1]


def test_what_a_protocol_cannot_do_is_refused_at_once(tmp_path, data):
    refused = {
        "race: leave_one_dataset_out": {"protocol": "leave_one_dataset_out", "stages.search.race": {"p": 0.2}},
        "cannot choose under holdout": {
            "protocol": "holdout",
            "stages.search.race": "none",
            "stages.search.chosen_by": 0.4,
        },
        "no search may choose it": {"baseline.checkpoint": "test_oracle"},
        "give it at the top": {"stages.search.factors": {"protocol": ["loso", "holdout"]}},
        "the study's protocol at the top": {"baseline.protocol": "holdout"},
        "40 folds of 12 subjects": {"protocol": "subject_kfold(40)"},
        "listed or factorial, whose arms are known": {"protocol": "nested_loso"},
        "last_epochs: 10 of 4": {"baseline.epochs": 4, "baseline.checkpoint": "mean_of_last"},
    }
    for words, parts in refused.items():
        with pytest.raises(UserError, match=words):
            prepared(tmp_path, data, "refused", **parts)
