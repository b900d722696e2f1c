"""Studies under other protocols than LOSO, end to end: what is trained, raced, chosen, audited, and claimed of it."""

from functools import partial
from itertools import count
from pathlib import Path

import moving_patch
import pytest

from analysis.questions.ablation import ablations
from analysis.report.report import report
from analysis.results.load import load_results
from search_spaces.errors import UserError
from search_spaces.study_file import load_study
from study.ledger.audit import audit
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
        "last_epochs: 10 of 4": {"baseline.epochs": 4, "baseline.checkpoint": "mean_of_last"},
    }
    for words, parts in refused.items():
        with pytest.raises(UserError, match=words):
            prepared(tmp_path, data, "refused", **parts)
