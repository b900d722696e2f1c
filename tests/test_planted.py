"""The planted answer comes out, on most datasets: the demo's table, 3 seeds, from video files to the report.

Some minutes; test_demo.py asks it of the demo's own dataset.
"""

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from analysis.questions.ablation import ablations
from analysis.questions.planted_answer import planted
from analysis.results.load import load_results
from search_spaces.study_file import READY

DATASETS, AGREE = 10, 8
ROWS = {
    ("regions", "eyes"),
    ("regions", "mouth"),
    ("input", "gray"),
    ("control", "single_frame"),
    ("control", "shuffled_time"),
    ("control", "shuffled_labels"),
}


@pytest.mark.skipif("LOSOLAB_SOAK" not in os.environ, reason="some minutes; make soak runs it")
@pytest.mark.timeout(1800)
def test_every_planted_row_has_its_sign_on_most_datasets(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(outcome, range(DATASETS), [tmp_path] * DATASETS))
    agree = Counter(row for rows, _ in outcomes for row in rows)
    assert {row for row in ROWS if agree[row] >= AGREE} == ROWS, agree
    assert sum(excludes_0 for _, excludes_0 in outcomes) <= 1


def outcome(dataset_seed: int, folder: Path) -> tuple[set[tuple[str, str]], bool]:
    """Of one dataset: the planted rows that have the planted sign, and whether the null arm's interval excludes 0."""
    results = load_results(run(dataset_seed, folder))
    (found,) = ablations(results)
    rows = {(row.cells[0].text, row.cells[1].text): row.cells[-1].text == "yes" for row in planted(results, found).rows}
    (null,) = [finding.comparison for finding in found.findings if finding.kind == "null"]
    print(dataset_seed, rows, f"null {null.difference:+.3f} [{null.low:+.3f}, {null.high:+.3f}]")
    return {row for row in ROWS if rows[row]}, not null.low <= 0 <= null.high


def run(dataset_seed: int, folder: Path) -> Path:
    """The default study without its search, in a process of its own; returns its folder."""
    content = yaml.safe_load((READY / "default.yaml").read_text())
    del content["stages"]["search"]
    content["stages"]["ablate"]["vary"] = {"input": ["gray"]}  # the planted arms and the controls alone
    content["dataset"]["options"]["seed"] = dataset_seed
    storage = folder / str(dataset_seed)
    (file := folder / f"{dataset_seed}.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, Path(__file__).parents[1] / "study/run.py", file, "--storage", storage, "--serial"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return storage / "default"
