"""The ladder of practice shows what a split of clips and the best test epoch add, whatever the dataset's seed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from analysis.questions.ablation import ablations
from analysis.results.load import load_results
from search_spaces.study_file import READY

SEEDS = 3 if os.environ.get("LOSOLAB_SOAK") else 1


@pytest.mark.slow
def test_the_published_practice_is_above_the_honest_number(tmp_path):
    """With 2 of the 5 seeds, fewer epochs and clips, for its time; `losolab run ladder` is the whole."""
    for seed in range(SEEDS):
        content = yaml.safe_load((READY / "ladder.yaml").read_text())
        content["dataset"]["options"] |= {"seed": seed, "subjects": 10, "clips": 7}
        content["baseline"]["epochs"] = 15
        arms = content["stages"]["ablate"]["arms"]
        content["stages"]["ablate"] |= {
            "arms": {name: arms[name] for name in list(arms)[:1]},
            "seeds": 2,
            "controls": [],
        }
        (file := tmp_path / f"{seed}.yaml").write_text(yaml.safe_dump(content))
        command = [sys.executable, Path(__file__).parents[1] / "study/run.py", file, "--storage", tmp_path / str(seed)]
        done = subprocess.run([*command, "--serial"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        (found,) = ablations(load_results(str(tmp_path / str(seed) / "ladder")))
        scores = {f.arm.arm: f.score.interval.estimate for f in found.findings}
        print(seed, scores)
        assert scores["split of clips, best test epoch"] > scores["baseline"] + 0.1
