"""Whole studies in which nothing is to be found: equal configurations trained for real, from images to verdicts.

Each study deals the same clips out to subjects and labels anew, so that its subjects are others. `make soak` runs a
hundred of them, CI a few, which proves the path alone.
"""

import os
import random
from pathlib import Path

import moving_patch
import pytest
from scipy.stats import binom

from analysis.questions.ablation import ablations
from analysis.results.load import load_results
from search_spaces.study_file import load_study
from study.planning import prepared_study
from tests.training_run import train

STUDIES = 100 if os.environ.get("LOSOLAB_SOAK") else 2
FILE = """
name: nothing
dataset: {path: clips}
baseline:
  {architecture: full_face, frames: 6, crop: 16, filters: 2, kernel_time: 3, hidden: 8, epochs: 3, learning_rate: 0.02}
stages:
  search:
    design: search
    proposals: 8
    startup: 4
    virtual_slots: 2
    chosen_by: 0.4
    factors: {learning_rate: {low: 0.0199, high: 0.0201}}
  confirm: {design: top, best: 3, seeds: 2}
  ablate: {design: one_at_a_time, around: winner, seeds: 2, vary: {dropout: [0.49, 0.51]}}
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_equal_configurations_are_called_equal(tmp_path):
    folder = tmp_path / "clips"
    moving_patch.write(folder, ("a", "b", "c"))
    header, *rows = [line.split(",") for line in (folder / "clips.csv").read_text().splitlines()]
    claims = [verdicts(tmp_path, folder, header, rows, key) for key in range(STUDIES)]
    better, worse = (sum(word in own for own in claims) for word in ("confirm better", "ablate worse"))
    print(f"\n  {STUDIES} studies of equal configurations: better in {better}, worse around the winner in {worse}")
    most = binom.ppf(0.999, STUDIES, 0.06)
    assert better <= most and worse <= most


def verdicts(tmp_path: Path, folder: Path, header: list[str], rows: list[list[str]], key: int) -> set[str]:
    """What a study says of its family, by stage."""
    draw = random.Random(key)
    subjects = [f"s{i}" for i in range(18) for _ in range(5)]
    labels = [row[header.index("label")] for row in rows]
    draw.shuffle(subjects)
    draw.shuffle(labels)
    dealt = [[str(i), subjects[i], labels[i], *row[3:-1]] for i, row in enumerate(rows)]
    (folder / "clips.csv").write_text("\n".join(",".join(line) for line in [header[:-1], *dealt]) + "\n")
    (file := tmp_path / "nothing.yaml").write_text(FILE)
    study = prepared_study.prepare(load_study(file, {"storage": str(tmp_path / f"studies{key}")}, data=folder), FILE)
    assert train(study) == 0
    found = ablations(load_results(study.folder))
    assert all(f.comparison.subjects == 18 - 8 for stage in found for f in stage.family)
    return {f"{stage.stage} {f.comparison.verdict}" for stage in found for f in stage.family}
