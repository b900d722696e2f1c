"""A factor is there because it changes a prediction; what it decides besides is what it declares."""

from dataclasses import replace

import numpy as np
import pytest

from search_spaces.config import BLOCKS, FACTORS, TrialConfig, choices
from search_spaces.network_inputs import master, streams
from study.models.sizes import training_bytes
from study.planning.cost_model import Size, Work, computed
from study.training.protocol import folds
from study.trials.trial import predicted
from tests.small_network import SMALL

# What must be so that a factor has an effect, and two levels of it where the first two that there are would not do.
CONTEXT = {
    "fusion": {"regions": "eyes+mouth"},
    "rate": {"sampling": "rate"},
    "short": {"frames": 24, "temporal_jitter": 0},
    "apex": {"sampling": "onset_apex_offset", "frames": 3, "kernel_time": 1},
    "grid": {"head": "pool"},
    "schedule": {"epochs": 3},
    "precision": {"batch_size": 5},
    "checkpoint": {"epochs": 4},
    **{f"lbp_{what}": {"network": "lbp_top"} for what in ("blocks", "radius", "neighbours")},
    "inner_share": {"checkpoint": "inner_validation", "epochs": 4},
    "last_epochs": {"checkpoint": "mean_of_last", "epochs": 4},
}
OWN = """
from torch import nn

class tiny(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        channels, frames, height, width = inputs["face"]
        self.dense = nn.Linear(channels * frames * height * width, classes)

    def forward(self, face):
        return self.dense(face.flatten(1))
"""
LEVELS = {
    "network": (BLOCKS, "own_network:tiny"),
    "fusion": ("intermediate", "late"),
    "rate": (100.0, 25.0),
    "short": ("repeat_evenly", "repeat_last"),
    "apex": ("annotated", "midpoint"),
    "crop": (24, 32),
    "frames": (9, 12),
    "momentum": (0.0, 0.9),
    "optimiser": ("sgd", "adamw"),
    "learning_rate": (0.01, 0.1),
    "weight_decay": (0.0, 0.5),
    "flip": (0.0, 1.0),
    "dropout": (0.0, 0.5),
    "precision": ("float32", "float64"),
    "hidden": (16, 24),
    "batch_size": (6, 4),
    "protocol": ("loso", "subject_kfold(3)"),
    "checkpoint": ("last", "mean_of_last"),
    "inner_share": (0.2, 0.5),
    "last_epochs": (2, 3),
}


def pair(name: str) -> tuple[TrialConfig, TrialConfig]:
    """Two configurations that differ in one factor, which has an effect in both."""
    f = FACTORS[name]
    base = replace(SMALL, **CONTEXT.get(name, {}))
    default = getattr(base, name)
    levels = LEVELS.get(name) or ((default, next(c for c in choices(f) if c != default)) if choices(f) else None)
    a, b = levels or (default, default + 1)
    return replace(base, **{name: a}), replace(base, **{name: b})


@pytest.fixture
def clips(random_clips):
    """Noise of its own for every master, apexes that are not in the middle, and rates that are known."""
    made = random_clips(12, 6)
    draw = np.random.default_rng(5)
    pixels = {**made.pixels}
    for change in ("per_frame", "none", "per_frame.none"):
        pixels |= {f"{r}.{change}": draw.integers(0, 256, p.shape, dtype=np.uint8) for r, p in made.pixels.items()}
    return replace(made, pixels=pixels, apex=np.full(len(made), 1))


@pytest.fixture(autouse=True)
def own_network(tmp_path, monkeypatch):
    """A network of a user's own beside the study file."""
    (tmp_path / "own_network.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_changes_a_prediction(name, clips):
    a, b = pair(name)
    assert a.is_active(FACTORS[name]) and b.is_active(FACTORS[name])
    assert a.key() != b.key()
    one, other = (predicted(config, clips, folds(clips, config.protocol, 0)[:2], "cpu") for config in (a, b))
    assert not np.array_equal(np.concatenate(one), np.concatenate(other))  # of other clips under another protocol


@pytest.mark.parametrize("name", sorted(set(FACTORS) - {"network"}))
def test_a_factor_declares_what_else_it_decides(name):
    a, b = pair(name)
    declared, size = FACTORS[name].metadata["decides"], Size(12, 120, 3)
    assert ("pixels" in declared) == ([master(a, r) for r in streams(a)] != [master(b, r) for r in streams(b)])
    assert ("memory" in declared) == (training_bytes(a, 3, 2, "cpu") != training_bytes(b, 3, 2, "cpu"))
    if computed(Work(a, size)) != computed(Work(b, size)):
        assert "time" in declared
    assert ("time" in declared) == (Work(a, size).key != Work(b, size).key)
