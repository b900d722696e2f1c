"""A dataset of DFME's size (made up): 656 subjects, 7,526 clips, planned and trained by ten folds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from search_spaces.study_file import load_study
from study.data.synthetic.writer import encode
from study.ledger.snapshot import snapshot
from study.planning import prepared_study

ROOT = Path(__file__).parents[3]
SUBJECTS, CLIPS, FRAMES, SIDE = 656, 7526, 4, 32
STUDY = """
name: large
dataset: {path: clips}
protocol: {kind: subject_kfold, folds: 10}
baseline:
  {architecture: full_face, frames: 4, crop: 8, kernel_space: 1, kernel_time: 1, filters: 1, hidden: 2, epochs: 1}
stages: {ablate: {design: listed, seeds: 1, arms: {majority: {network: majority}}}}
"""


def write(folder: Path) -> None:
    """A video of noise a subject, whose clips lie one behind the other in it."""
    draw = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([np.arange(SUBJECTS), draw.integers(0, SUBJECTS, CLIPS - SUBJECTS)]))
    folder.mkdir()
    lines = ["clip_id,subject,label,onset,offset,source"]
    for subject, count in enumerate(counts.tolist()):
        frames = draw.integers(0, 256, (count * FRAMES, SIDE, SIDE), dtype=np.uint8)
        encode(folder / f"s{subject:03d}.avi", frames, "mjpeg")
        for clip in range(count):
            label = "abcdefg"[(subject + clip) % 7]
            first = clip * FRAMES
            lines.append(
                f"s{subject:03d}_{clip},s{subject:03d},{label},{first},{first + FRAMES - 1},s{subject:03d}.avi"
            )
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.skipif("LOSOLAB_SOAK" not in os.environ, reason="a minute; make soak runs it")
def test_ten_folds_are_planned_at_once_and_train_in_the_memory_that_was_planned(tmp_path):
    write(tmp_path / "clips")
    (file := tmp_path / "large.yaml").write_text(STUDY)
    began = time.process_time()
    study = prepared_study.prepare(load_study(file, {"storage": str(tmp_path)}, data=tmp_path / "clips"), STUDY)
    assert time.process_time() - began < 10
    assert (study.plan.size.subjects, study.plan.size.clips, study.plan.folds) == (SUBJECTS, CLIPS, 20)
    command = [sys.executable, ROOT / "study/run.py", file, "--data", tmp_path / "clips", "--storage", tmp_path]
    done = subprocess.run([*command, "--serial"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    folds = snapshot(study.folder, folds="costs").folds
    assert len(folds) == 20
    peak = max(fold.peak_memory for fold in folds) * 2**20
    print(f"{peak / 2**20:.0f} MiB, planned {study.plan.memory / 2**20:.0f} beside the masters")
    assert peak < 1.25 * (study.plan.memory + prepared_study.pixels(study))  # the driver is in the same process
