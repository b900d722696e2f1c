"""The path of a GPU without one: on fake tensors, for devices and waits; and on a CPU, for numbers."""

from dataclasses import fields, replace
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorDeviceMismatchError,
)

from benchmarks import gpu as acceptance
from benchmarks import plain
from benchmarks.loso_epoch import SETTINGS
from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.models import counter_bits, dropout, folded_network, gpu
from study.models.fake_gpu import moved
from study.models.folded_network import FoldedNetwork
from study.models.geometry import training_bytes
from study.training.protocol import loso
from study.training.train import Material, _network, _probabilities, fit, products, train
from tests import small_network
from tests.fake_gpu import Peak, Waits
from tests.fake_gpu import counted as on_fake

SMALL = replace(small_network.SMALL, epochs=2, dropout=0.3)
FUSED = {"regions": "eyes+mouth", "fusion": "intermediate"}
ALL_AT_ONCE = {
    **{"flip": 0.5, "crop_shift": 2, "temporal_jitter": 1, "class_weights": "balanced", "normalisation": "clip"},
    **{"optimiser": "adamw", "schedule": "cosine", "weight_decay": 0.1, "input": "frame_difference"},
}
# Together they have every level of every factor whose levels are words, but for those that only decide which pixels
# of a clip there are.
CONFIGS = {
    **{regions: {"regions": regions} for regions in ("face", "frame", "eyes", "mouth")},
    **{f"{fusion} of eyes and mouth": FUSED | {"fusion": fusion} for fusion in ("none", "intermediate", "late")},
    "late fusion of three, deep": {"regions": "face+eyes+mouth", "fusion": "late", "depth": 3},
    **{precision: {"precision": precision, "depth": 2} for precision in ("float32", "tf32", "bfloat16", "float64")},
    **{f"all at once in {p}": FUSED | ALL_AT_ONCE | {"precision": p} for p in ("float32", "bfloat16")},
    "pooled, nothing dropped": {"head": "pool", "grid": 2, "dropout": 0.0, "dense_activation": "none"},
    "Nesterov": {"optimiser": "nesterov", "momentum": 0.9, "normalisation": "mean_max"},
    "decay": {"weight_decay": 0.1, "momentum": 0.5},
    **{c: {"control": c} for c in ("permuted_labels", "shuffled_labels", "single_frame", "shuffled_time")},
}
OF_PIXELS = ("sampling", "short", "apex", "landmarks", "alignment")
OF_EPOCHS = ("checkpoint",)  # after which of them the predictions are read back, which waits


def on_a_fake_gpu(config, clips, folds, network=None):
    """Two epochs of training and a prediction; what was launched in the second and later steps of each epoch."""
    with on_fake() as launches, products(config.precision):
        names = [(fold.seed, fold.held_out) for fold in folds]
        built = network or moved(_network(config, len(clips.classes), names, launches.device), launches.device)
        material = Material(config, clips, folds, launches.device)
        launches.counting = True
        fit(built, material, config)
        launches.counting = False
        try:
            _probabilities(built, material, config.batch_size, material.test)
        except RuntimeError as error:  # what is read back at the end has no values
            assert "numpy" in str(error)
    return launches.counts


@pytest.fixture(scope="module")
def clips(random_clips):
    return random_clips()


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_training_stays_on_the_gpu_and_waits_for_nothing(name, clips):
    assert on_a_fake_gpu(replace(SMALL, **CONFIGS[name]), clips, loso(clips, 0))


def test_the_configurations_have_every_level():
    for field in fields(TrialConfig):
        if get_origin(field.type) is Literal and field.name not in OF_PIXELS + OF_EPOCHS:
            tried = {getattr(replace(SMALL, **given), field.name) for given in CONFIGS.values()}
            assert tried == set(get_args(field.type)), field.name


class Planted(FoldedNetwork):
    """A network with a mistake in its forward pass."""

    def __init__(self, mistake, *given):
        super().__init__(*given)
        self.mistake = mistake

    def forward(self, *given):
        return self.mistake(super().forward(*given))


PLANTED = {
    "item": (lambda x: x * x.max().item(), DataDependentOutputException),
    "truth": (lambda x: x if (x > 0).any() else x + 1, DataDependentOutputException),
    "boolean index": (lambda x: x + x[x > 0].sum(), DynamicOutputShapeException),
    "tensor of the CPU": (lambda x: x + torch.zeros(x.shape), FakeTensorDeviceMismatchError),
    "copy to the CPU": (lambda x: x + 0 * x.cpu().to(x.device), Waits),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_caught(mistake, clips):
    planted, error = PLANTED[mistake]
    folds = loso(clips, 0)
    names = [(fold.seed, fold.held_out) for fold in folds]
    with pytest.raises(error), on_fake() as launches:
        network = moved(Planted(planted, SMALL, 3, names, launches.device), launches.device)
        material = Material(SMALL, clips, folds, launches.device)
        launches.counting = True
        fit(network, material, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(("letter", "most"), [("b", 60), ("t", 60), ("e", 105), ("c", 250)])
def test_a_step_is_few_launches(letter, most):
    """c has as many parts as clips; e two streams. benchmarks/README.md has the numbers of the card itself."""
    config = replace(SETTINGS[letter].config, epochs=1)
    clips = plain.noise(config, 10 * config.batch_size, 16)
    launched = on_a_fake_gpu(config, clips, loso(clips, 0))
    assert launched.total() / 10 < most


LARGE = {
    **{letter: SETTINGS[letter].config for letter in "bec"},
    "AdamW": replace(SETTINGS["e"].config, optimiser="adamw"),
    "bfloat16": replace(SETTINGS["c"].config, precision="bfloat16", momentum=0.9),
    "float64": replace(SETTINGS["b"].config, precision="float64", weight_decay=0.1),
    "two blocks": SETTINGS["d"].config,
}


@pytest.mark.parametrize("name", LARGE)
def test_the_estimate_of_a_cards_memory_suffices_and_is_near(name):
    """What torch allocates; the card itself took .80 to 1.05 of the estimate (benchmarks/README.md)."""
    config = replace(LARGE[name], epochs=1)
    clips = plain.noise(config, 2 * config.batch_size, 16)
    folds = loso(clips, 0)
    with on_fake() as launches, Peak(launches.device) as peak:
        network = _network(config, 3, [(fold.seed, fold.held_out) for fold in folds], launches.device)
        fit(network, Material(config, clips, folds, launches.device), config)
    assert 0.6 < peak.bytes / training_bytes(config, 3, len(folds), "cuda") < 1


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(gpu, "is_gpu", lambda device: True)


@pytest.mark.slow
def test_the_acceptance_passes_on_a_cpu_with_the_same_columns(tmp_path, capsys):
    acceptance.main(["--small", "--settings", "be", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert "FAILED" not in said and said.count("passed: ") >= 9
    head, *_ = [line for line in (tmp_path / "gpu.md").read_text().splitlines() if line.startswith("| setting")]
    assert [column.strip() for column in head.strip("|").split("|")] == list(acceptance.COLUMNS)


def test_counted_bits_are_splitmix64():
    """Steele, Lea, Flood 2014; the first outputs for seed 1234567 as published with the generator's C code."""
    key = counter_bits.keys([1234567], torch.device("cpu"))
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [word % 2**64 for word in counter_bits.words(key, 5)[0].tolist()] == published
    assert counter_bits.words(key, 3, first=2)[0].tolist() == counter_bits.words(key, 5)[0, 2:].tolist()
    assert counter_bits.words(key, 3, since=torch.tensor(2))[0].tolist() == counter_bits.words(key, 5)[0, 2:].tolist()


def test_counted_numbers_are_uniform():
    key = counter_bits.keys([2**64 - 3], torch.device("cpu"))
    x = counter_bits.uniform(key[0], 2**18).double()
    assert x.min() >= -1 and x.max() < 1 and abs(x.mean()) < 0.01 and abs(x.std() - 3**-0.5) < 0.01
    kept = counter_bits.keep(key, 2**18, 0.3).double()
    assert kept.mean() == pytest.approx(0.3, abs=0.003)
    lagged = [float(torch.corrcoef(torch.stack([kept[0, :-lag], kept[0, lag:]]))[0, 1]) for lag in (1, 2, 4, 4096)]
    assert max(map(abs, lagged)) < 0.005


@pytest.mark.parametrize("together", [2**25, 1])
def test_masks_hang_on_neither_the_group_nor_how_many_steps_are_drawn_together(
    together, clips, as_on_a_gpu, monkeypatch
):
    usual = train(SMALL, clips, loso(clips, 0))
    monkeypatch.setattr(dropout, "AT_ONCE", together)
    for fold, rows in zip(loso(clips, 0), usual, strict=True):
        (alone,) = train(SMALL, clips, [fold])
        np.testing.assert_allclose(alone, rows, rtol=1e-9)


@pytest.mark.parametrize("option", ["sgd", "nesterov", "adamw"])
def test_what_a_gpu_computes_otherwise_is_the_same_but_for_its_draws(option, clips, monkeypatch):
    """Patches and products, fused optimisers, learning rates as float32: from the same weights as on a CPU."""
    config = replace(SMALL, dropout=0.0, optimiser=option, schedule="cosine", learning_rate=2**-6, weight_decay=0.01)
    monkeypatch.setattr(folded_network.Initial, "weight", _same_weights)
    cpu = train(config, clips, loso(clips, 0))
    monkeypatch.setattr(gpu, "is_gpu", lambda device: True)
    for ours, theirs in zip(train(config, clips, loso(clips, 0)), cpu, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def _same_weights(initial, layer, shape, fans):
    draw = torch.Generator().manual_seed(len(layer))
    one = torch.rand(shape, generator=draw, dtype=initial.dtype).sub_(0.5).mul_(fans**-0.5)
    return nn.Parameter(one.expand(len(initial.folds), *shape).clone())


def test_products_leave_torch_as_it_was_whichever_way_it_was_told():
    """torch has an old and a new name for TF32, and raises where both were used."""
    before = torch.backends.fp32_precision
    try:
        torch.backends.cudnn.conv.fp32_precision = "tf32"
        with products("float32"):
            assert torch.backends.cudnn.conv.fp32_precision == torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"
        with products("bfloat16"):
            assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


NETWORKS = """
import torch
from torch import nn

class Kept(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.layer, self.weights = nn.LazyLinear(classes), torch.ones(9, 1, 1)
    def forward(self, x, *others):
        return self.layer((x[:, 0] * self.weights).flatten(1))

class Made(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.layer = nn.LazyLinear(classes)
    def forward(self, x, *others):
        return self.layer((x * torch.linspace(0, 1, x.shape[-1])).flatten(1))

class Right(Made):
    def forward(self, x, *others):
        return self.layer((x * torch.linspace(0, 1, x.shape[-1], device=x.device)).flatten(1))
"""


def test_a_network_that_would_fail_on_a_gpu_is_refused_with_its_line(tmp_path, small, monkeypatch):
    (tmp_path / "on_cpu_alone.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    given = {"baseline.frames": 9, "baseline.architecture": "full_face", "resources": {"gpu": 1}}
    for name, line in (("Kept", "self.weights"), ("Made", "torch.linspace")):
        with pytest.raises(UserError, match=rf"would fail on a GPU, line \d+ of .*on_cpu_alone.py \(.*{line}"):
            small.prepared(**given, **{"baseline.network": f"on_cpu_alone:{name}"})
        small.prepared(**given | {"resources": {"gpu": 0}}, **{"baseline.network": f"on_cpu_alone:{name}"})
    small.prepared(**given, **{"baseline.network": "on_cpu_alone:Right"})
