"""Simulated studies with known true effects, written through the real schemas."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.results.results import METADATA_KEY, PREDICTIONS, TRIALS, Metadata, Results
from search_spaces.digests import stream

CLASSES = ("negative", "positive", "surprise")


@dataclass(frozen=True)
class SimulatedArm:
    """An arm that is right on this share of clips, and guesses by the classes' shares on the others."""

    name: str
    skill: float
    changes: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (1, 2, 3)
    stage: str = "ablate"
    states: Mapping[int, str] = field(default_factory=dict)  # seed -> state, complete unless given
    impossible: str | None = None


ARMS = (
    SimulatedArm("baseline", 0.75),
    SimulatedArm("regions=eyes", 0.35, {"regions": "eyes", "fusion": "none"}),
    SimulatedArm("regions=mouth", 0.25, {"regions": "mouth", "fusion": "none"}),
    SimulatedArm("input=gray", 0.10, {"input": "gray"}),
    SimulatedArm("depth=2", 0.74, {"depth": 2}),
    SimulatedArm("null", 0.75, seeds=(11, 12, 13)),
    SimulatedArm("permuted_labels", 0.0, {"control": "permuted_labels"}),
    SimulatedArm("shuffled_time", 0.05, {"control": "shuffled_time"}),
)
TRUTH = {
    "ideal_uf1": {
        "regions": {
            "eyes": {"balanced": 2 / 3, "actual": 0.641, "limit": 0.65},
            "eyes+mouth": {"balanced": 1.0, "actual": 0.9},
            "frame": {"balanced": 1.0, "actual": 0.9},
        }
    },
    "planted": [
        {"factor": "regions", "level": "eyes", "expect": "lower"},
        {"factor": "input", "level": "gray", "expect": "lower"},
        {"factor": "control", "level": "single_frame", "expect": "lower"},
        {"factor": "control", "level": "permuted_labels", "expect": "chance"},
    ],
}


@dataclass(frozen=True)
class Study:
    """The two tables of a simulated study, and its metadata as the ledger's export writes it."""

    predictions: list[dict[str, Any]]
    trials: list[dict[str, Any]]
    metadata: dict[str, Any]

    def results(self) -> Results:
        tables = pa.Table.from_pylist(self.predictions, PREDICTIONS), pa.Table.from_pylist(self.trials, TRIALS)
        return Results.of(*tables, Metadata.decode(json.dumps(self.metadata)))

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(self.predictions, PREDICTIONS), folder / "predictions.parquet")
        trials = pa.Table.from_pylist(self.trials, TRIALS)
        described = trials.replace_schema_metadata({METADATA_KEY: json.dumps(self.metadata)})
        pq.write_table(described, folder / "trials.parquet")
        return folder


def clips(subjects: int) -> list[tuple[str, str, str]]:
    """(subject, clip_id, label): 6 to 18 clips a subject, shares .45/.30/.25, every class somewhere."""
    generator = np.random.default_rng(stream("simulated clips", subjects))
    found = []
    for i in range(subjects):
        labels = [
            *CLASSES[: 3 if i < 2 else 0],
            *generator.choice(CLASSES, generator.integers(6, 18), p=[0.45, 0.30, 0.25]),
        ]
        found += [(f"s{i:02d}", f"s{i:02d}_{j:03d}", str(label)) for j, label in enumerate(labels)]
    return found


def run(trial: int, skill: float, seed: int, stage: str, arm: str | None, subjects: int) -> list[dict[str, Any]]:
    """The predictions of one seed: clips have a difficulty of their own, so that arms agree as real ones do."""
    shared = np.random.default_rng(stream("difficulty", subjects))
    own = np.random.default_rng(stream("simulated run", arm or trial, seed))
    rows = []
    for subject, clip, label in clips(subjects):
        right = 0.6 * shared.random() + 0.4 * own.random() < skill
        guess = str(own.choice(CLASSES, p=[0.45, 0.30, 0.25]))
        predicted = label if right else guess
        rows.append(
            {
                "trial": trial,
                "stage": stage,
                "arm": arm,
                "configuration": f"{trial:064d}",
                "seed": seed,
                "held_out": subject,
            }
            | {"dataset": "toy", "subject": subject, "clip_id": clip, "y_true": label, "y_pred": predicted}
            | {"probabilities": [0.8 if name == predicted else 0.1 for name in CLASSES]}
        )
    return rows


def trial_row(
    trial: int, arm: str | None, stage: str, seeds: list[int], state: str, levels: dict[str, Any]
) -> dict[str, Any]:
    factors = {
        "regions": "eyes+mouth",
        "fusion": "intermediate",
        "depth": 1,
        "input": "flow",
        "hidden": 64,
        "control": "none",
    } | levels
    return (
        {"trial": trial, "stage": stage, "arm": arm, "configuration": f"{trial:064d}", "state": state, "seeds": seeds}
        | {"uf1": 0.5 if state == "complete" else None, "factors": json.dumps(factors), "parameters": 12_345 + trial}
        | {"multiply_adds": 6_789_000, "seconds": 4.2 * len(seeds), "peak_memory": 210.0, "device": "cpu"}
        | {"why": "out of memory" if state == "failed" else None}
    )


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Study]:
    """simulate(arms, subjects, search): a study of these arms, with `search` proposals before them."""

    def made(
        arms: tuple[SimulatedArm, ...] = ARMS,
        subjects: int = 12,
        search: int = 0,
        truth: Any = TRUTH,
        baseline: str = "baseline",
    ) -> Study:
        predictions, trials = [], []
        for trial in range(search):
            state = {3: "pruned", 5: "failed"}.get(trial, "complete")
            levels = {"depth": 1 + trial % 2, "learning_rate": 0.01 * (trial + 1)}
            trials.append(trial_row(trial, None, "search", [7, 8], state, levels))
            if state == "complete":
                for seed in (7, 8):
                    predictions += run(trial, 0.3 + 0.04 * trial, seed, "search", None, subjects)
        for arm in arms:
            for seed in () if arm.impossible else arm.seeds:
                trial, state = len(trials), arm.states.get(seed, "complete")
                trials.append(trial_row(trial, arm.name, arm.stage, [seed], state, dict(arm.changes)))
                rows = run(trial, arm.skill, seed, arm.stage, arm.name, subjects)
                predictions += rows if state == "complete" else rows[: len(rows) // 2]
        return Study(predictions, trials, metadata(arms, truth, baseline))

    return made


def metadata(arms: tuple[SimulatedArm, ...], truth: Any, baseline: str) -> dict[str, Any]:
    listed = [
        {"arm": arm.name, "stage": arm.stage, "changes": dict(arm.changes), "impossible": arm.impossible}
        for arm in arms
    ]
    return {
        "name": "toy_study",
        "question": "What is each part worth?",
        "dataset": "synthetic (12 subjects)",
        "dataset_digest": "d" * 64,
        "protocol": "leave-one-subject-out",
        "classes": list(CLASSES),
        "baseline": baseline if any(arm.name == baseline for arm in arms) else None,
        "arms": listed,
        "truth": truth,
        "provenance": {"code": "abc123", "packages": {"torch": "2.9"}},
        "notes": [],
    }


@pytest.fixture(scope="session")
def arm() -> type[SimulatedArm]:
    """The class of simulated arms: arm(name, skill, changes, ...)."""
    return SimulatedArm


@pytest.fixture(scope="session")
def arms() -> tuple[SimulatedArm, ...]:
    """Baseline, three worse variants, one like the baseline, null, and two controls."""
    return ARMS
