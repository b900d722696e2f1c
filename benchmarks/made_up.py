"""A search of many configurations in a ledger, its folds made up: what a study of thousands of trials leaves.

python benchmarks/made_up.py FOLDER TRIALS
"""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np

from analysis.stats.metrics import uf1
from search_spaces.config import TrialConfig
from search_spaces.study_file import READY, load_study
from study.ledger.writer import Ledger, Outcome, StudyRecord
from study.trials.fold_identity import Arithmetic
from study.trials.trial import FoldResult

CLASSES = ("negative", "positive", "surprise")
SUBJECTS, CLIPS = 6, 12
MADE_BY = Arithmetic("cpu", "AVX2", 1, "2.13.0", "float32", 1)
FIXED = {"kernel_time": 3, "filters": 8}
LEVELS = {
    "crop": [24, 32, 48],
    "frames": [6, 8, 12, 16],
    "depth": [1, 2],
    "hidden": [16, 32],
    "learning_rate": [round(0.001 * (1 + step), 3) for step in range(120)],
}


def make(folder: Path, trials: int) -> None:
    """Every configuration is right on a share of the clips that grows with its crop, its frames and its depth."""
    draw = np.random.default_rng(0)
    subjects = [f"s{number}" for number in range(SUBJECTS)]
    truth = {subject: draw.permutation(np.arange(CLIPS) % len(CLASSES)) for subject in subjects}
    cells = list(product(*LEVELS.values()))
    order = draw.permutation(len(cells))
    with Ledger(folder) as ledger:
        ledger.begin(_record(folder.name, trials, subjects))
        for place in order[:trials]:
            levels = dict(zip(LEVELS, cells[place], strict=True))
            config = TrialConfig(**FIXED, **levels)
            skill = 0.2 + 0.002 * config.crop + 0.01 * config.frames + 0.05 * config.depth
            trial = ledger.propose("search", None, config, (0,))
            confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
            folds = []
            for subject in subjects:
                label = truth[subject]
                answer = np.where(draw.random(CLIPS) < skill, label, draw.integers(0, len(CLASSES), CLIPS))
                np.add.at(confusion, (label, answer), 1)
                folds.append(_fold(config, subject, label, answer, 0.5 + draw.random()))
            attempt = ledger.attempt(trial.number)
            with ledger.transaction():
                ledger.add_folds(attempt, folds)
                ledger.settle(trial.number, Outcome("complete", len(folds), float(uf1(confusion))))


def _record(name: str, trials: int, subjects: list[str]) -> StudyRecord:
    search = {"design": "search", "proposals": trials, "factors": LEVELS}
    baseline = FIXED | {name: levels[0] for name, levels in LEVELS.items()}
    file = {"name": name, "baseline": baseline, "stages": {"search": search}}
    spec = load_study(READY / "default.yaml", file)
    description = {
        "question": "Which configuration is best?",
        "dataset": "made up",
        "dataset_digest": "d1" * 32,
        "protocol": "loso",
        "classes": CLASSES,
        "objectives": ["uf1"],
        "baseline": None,
        "arms": [],
        "truth": None,
        "notes": [],
        "clips": [[f"{who}_{i}", "made up", who, f"{who}_{i}"] for who in subjects for i in range(CLIPS)],
    }
    resolved = spec.model_dump(mode="json", exclude_none=True)
    return StudyRecord(name, json.dumps(file), resolved, {"data": {"index": "index"}}, description)


def _fold(config: TrialConfig, subject: str, label: np.ndarray, answer: np.ndarray, seconds: float) -> FoldResult:
    rows = [
        [
            f"{subject}_{i}",
            CLASSES[label[i]],
            CLASSES[answer[i]],
            np.where(np.arange(3) == answer[i], 0.6, 0.2).tolist(),
        ]
        for i in range(CLIPS)
    ]
    key = config.key()
    return FoldResult(f"{key}/0/{subject}", MADE_BY, key, 0, subject, json.dumps(rows), float(seconds), 100.0, "laptop")


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
