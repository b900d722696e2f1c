"""The capacity control: arms as large as the baseline, which tell what is width from what is not."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import moving_patch
import numpy as np
import pytest

from analysis.questions.ablation import ablations
from analysis.results.load import load_results
from search_spaces.errors import UserError
from search_spaces.study_file import load_study
from study.models.geometry import geometry
from study.planning import prepared_study
from study.planning.capacity import MARK, with_capacity_arms
from study.scheduling import serial_executor
from study.trials.trial import run_trial
from tests.training_run import train

FILE = Path(__file__).parents[1] / "ledger/older/begun.yaml"
BASELINE = {"architecture": "full_face", "frames": 6, "crop": 24, "kernel_time": 3, "filters": 16, "hidden": 16}
NARROW = {"small": {"crop": 18}, "eyes": {"regions": "eyes"}, "pooled": {"head": "pool", "grid": 1, "hidden": 1}}
STAGES = {"ablate": {"design": "listed", "seeds": 2, "arms": NARROW, "controls": ["capacity"]}}


def study(tmp_path: Path, data: Path, name: str = "capacity", **parts) -> prepared_study.Study:
    own = {"storage": str(tmp_path), "name": name, "baseline": BASELINE | {"epochs": 1}, "stages": STAGES} | parts
    return prepared_study.prepare(load_study(FILE, own, data=data), FILE.read_text())


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("capacity") / "clips"
    moving_patch.write(folder, ("casme2", "samm"))
    return folder


def test_a_narrower_arm_has_one_below_it_with_the_baselines_parameters(tmp_path, data):
    made = study(tmp_path, data)
    sizes = {arm.name: geometry(arm.config, 3).parameters for arm, _ in made.plan.arms}
    names = list(sizes)
    for name in NARROW:
        assert names[names.index(name) + 1] == f"{name}{MARK}"
        assert sizes[name] < 0.95 * sizes["baseline"]
        assert 0.98 <= sizes[f"{name}{MARK}"] / sizes["baseline"] <= 1.02
    assert with_capacity_arms(made.spec, 3) == made.spec, "going on with a study adds no more"


def test_an_arm_that_no_width_helps_says_so_and_larger_ones_have_none(tmp_path, data):
    arms = {"tiny": {"head": "pool", "grid": 1, "hidden": 1, "filters": 1}, "narrow": {"filters": 32}}
    wide = BASELINE | {"hidden": 4096, "filters": 256, "epochs": 1}
    made = study(tmp_path, data, baseline=wide, stages={"ablate": STAGES["ablate"] | {"arms": arms}})
    assert not [arm.name for arm, _ in made.plan.arms if arm.name.endswith(MARK)], "narrow asks for width itself"
    assert any(note.startswith("tiny has fewer parameters than the baseline") for note in made.index.notes)
    with pytest.raises(UserError, match="controls: capacity is for one_at_a_time and listed"):
        factorial = {"design": "factorial", "factors": {"filters": [4]}, "controls": ["capacity"]}
        study(tmp_path, data, stages={"ablate": factorial})


def by_width_alone(clips, given, *rest):
    """Folds whose answers are right with a chance that only the parameters of the network decide."""
    for block in run_trial(given, clips, *rest):
        size = geometry(given.config, 3).parameters
        yield [replace(fold, predictions=_answers(fold, min(1.0, size / 60_000))) for fold in block]


def _answers(fold, right: float) -> str:
    rows = []
    for clip, true, _, shares in json.loads(fold.predictions):
        drawn = np.random.default_rng([sum(map(ord, clip)), fold.seed]).random()
        others = [name for name in moving_patch.LABELS if name != true]
        rows.append([clip, true, true if drawn < right else others[int(1000 * drawn) % 2], shares])
    return json.dumps(rows)


@pytest.mark.slow
def test_what_only_width_decides_is_worse_without_the_control_and_not_with_it(tmp_path, data):
    made = study(tmp_path, data, baseline=BASELINE | {"epochs": 1, "filters": 24, "hidden": 24})
    run = partial(serial_executor.serial, run=lambda trial, clips, *rest: by_width_alone(clips, trial, *rest))
    assert train(made, run) == 0
    (found,) = ablations(load_results(str(made.folder)))
    verdicts = {f.arm.arm: f.comparison.verdict for f in found.family}
    assert {verdicts[name] for name in ("small", "eyes")} == {"worse"}
    assert "worse" not in {verdicts[f"{name}{MARK}"] for name in ("small", "eyes")}
