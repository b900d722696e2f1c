"""A user's own network: the one that the docs show, stacked and alone, against a plain loop; and mistakes in it."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from search_spaces.errors import UserError
from search_spaces.study_file import load_study
from study.data.sampling import sample
from study.models.geometry import INTERPRETER
from study.models.sizes import fold_group, training_bytes
from study.models.user_network import shapes
from study.models.user_network_probe import probe
from study.system import dotted_path
from study.training.protocol import loso
from study.training.train import batches, train

DOCS = Path(__file__).parents[3] / "docs/networks.md"
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
OTHERS = """
from copy import deepcopy

def sized(layer):
    def factory(inputs, classes):
        part = nn.Sequential(nn.Conv3d(1, 4, 3), deepcopy(layer), nn.ReLU(), nn.AdaptiveAvgPool3d(2), nn.Flatten())
        return nn.Sequential(part, nn.LazyLinear(classes))
    return factory


dropped = sized(nn.Dropout(0.3))
normed = sized(nn.BatchNorm3d(4))
frozen = sized(nn.BatchNorm3d(4).eval())
mixing = sized(nn.BatchNorm3d(4, track_running_stats=False))


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0) if self.training else x


centred = sized(Centred())
text = "no network"


def nothing(inputs, classes):
    return None


def raises(inputs, classes):
    raise RuntimeError("kernel too large")


def large(inputs, classes):
    return nn.Sequential(nn.Conv3d(1, 4, 25), nn.Flatten(), nn.LazyLinear(classes))


def flat_normed(inputs, classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.BatchNorm1d(8), nn.Linear(8, classes))


def softened(inputs, classes):
    return nn.Sequential(TinyNet(inputs, classes), nn.Softmax(1))


def undefined(inputs, classes):
    network = TinyNet(inputs, classes)
    nn.init.constant_(network.out.bias, float("nan"))
    return network


def narrow(inputs, classes):
    return TinyNet(inputs, 2)


def untrainable(inputs, classes):
    return TinyNet(inputs, classes).requires_grad_(False)
"""
CONFIG = TrialConfig(
    frames=9, crop=24, epochs=3, batch_size=6, momentum=0.9, learning_rate=0.05, precision="float64", network="x:y"
)


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """The name of a module that holds the docs' network and others."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "losolab_test_nets.py").write_text(EXAMPLE + OTHERS)
    sys.path.append(str(folder))
    yield "losolab_test_nets"
    sys.path.remove(str(folder))


@pytest.fixture
def config(nets):
    return lambda name, **levels: replace(CONFIG, network=f"{nets}:{name}", **levels)


def plain_loop(config, clips, fold):
    """One fold, its training clips alone, as anybody would train it."""
    name = (fold.seed, fold.held_out)
    inputs = []
    for pixels in sample(clips, config, fold.seed).values():
        own = pixels[fold.train].astype(np.float64)
        inputs.append(torch.from_numpy((pixels - own.mean()) / own.std())[:, None])
    torch.manual_seed(stream("weights", *name, "network"))
    network = dotted_path.found("network", config.network)(shapes(config), 3)
    if config.network.split(":")[1] != "TinyNet":
        modes = [(module, module.training) for module in network.modules()]
        with torch.no_grad():
            network.eval()(*(torch.zeros(1, *shape) for shape in shapes(config).values()))
        for module, mode in modes:
            module.training = mode
    network.double()
    optimiser = torch.optim.SGD(network.parameters(), lr=config.learning_rate, momentum=config.momentum)
    labels = torch.from_numpy(clips.labels)
    names = list(zip(clips.subjects.tolist(), clips.ids.tolist(), strict=True))
    ordered = [rows for epoch in range(config.epochs) for rows in batches(names, fold.seed, epoch, config.batch_size)]
    for step, rows in enumerate(ordered):
        mine = rows[fold.train[rows]]
        torch.manual_seed(stream("dropout", *name, "network", step))
        optimiser.zero_grad(set_to_none=False)
        if len(mine):
            F.cross_entropy(network(*(x[mine] for x in inputs)), labels[mine]).backward()
        optimiser.step()
    with torch.no_grad():
        return torch.softmax(network.eval()(*(x[fold.test] for x in inputs)), 1).numpy()


@pytest.mark.parametrize(("name", "regions"), [("TinyNet", "eyes+mouth"), ("frozen", "face")])
def test_stacked_and_alone_it_is_trained_as_by_a_plain_loop(name, regions, config, random_clips):
    clips, config = random_clips(), config(name, regions=regions)
    folds = loso(clips, 1)
    for fold, stacked in zip(folds, train(config, clips, folds), strict=True):
        plain = plain_loop(config, clips, fold)
        assert np.ptp(plain, axis=0).min() > 1e-4
        np.testing.assert_allclose(stacked, plain, rtol=1e-10)
        np.testing.assert_allclose(train(config, clips, [fold])[0], plain, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "why"),
    [("dropped", "draws random numbers"), ("normed", "BatchNorm .* mixes the clips"), ("centred", "mixes the clips")],
)
def test_what_cannot_be_stacked_is_refused_with_the_reason_and_trains_fold_by_fold(name, why, config, random_clips):
    clips, config = random_clips(), config(name)
    folds = loso(clips, 1)
    with pytest.raises(ValueError, match=why):
        train(config, clips, folds)
    assert fold_group(config, 3, 2**40, "cuda", len(folds)) == 1
    for fold in folds[:2]:
        np.testing.assert_allclose(train(config, clips, [fold])[0], plain_loop(config, clips, fold), rtol=1e-10)


@pytest.mark.parametrize("name", ["TinyNet", "normed"])
def test_the_protocol_is_the_same(name, config, random_clips):
    """Nothing of a held-out clip reaches training, and one without training clips in its batches does not stop."""
    clips = random_clips(count=8, subjects=2)
    config = config(name, batch_size=2, class_weights="balanced", flip=0.5, optimiser="adamw")
    fold = loso(clips, 0)[0]
    relabelled = replace(clips, labels=np.where(fold.test, (clips.labels + 1) % 3, clips.labels))
    before, after = (train(config, these, [fold])[0] for these in (clips, relabelled))
    assert np.isfinite(before).all()
    assert np.array_equal(before, after)


def test_what_it_takes(config):
    own = probe(config("TinyNet"), 3)
    assert own.parameters == 8 * 27 + 8 + 64 * 3 + 3
    assert own.multiply_adds == 8 * 27 * 7 * 22 * 22 + 64 * 3
    assert own.alone is None
    assert fold_group(config("TinyNet"), 3, 2**40, "cpu", 20) == 1
    assert fold_group(config("TinyNet"), 3, 2**40, "cuda", 20) == 20
    memory = INTERPRETER + training_bytes(config("TinyNet"), 3, 5, "cuda")
    assert fold_group(config("TinyNet"), 3, memory, "cuda", 20) == 5


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("absent", "has no absent"),
        ("text", "raises TypeError: 'str' object is not callable"),
        ("nothing", "returns NoneType; expected: a torch.nn.Module"),
        ("raises", "asked for face 1x9x24x24 and 3 classes, raises RuntimeError: kernel too large"),
        ("large", "asked for face 1x9x24x24 and 3 classes, raises RuntimeError: Calculated padded input size"),
        ("flat_normed", "cannot train on one clip, all that a batch may leave of a fold: ValueError: Expected"),
        ("softened", "gives probabilities; expected: logits"),
        ("undefined", "gives NaN or infinite logits before any training"),
        ("narrow", "gives 4x2 for 4 clips; expected: logits 4x3"),
        ("untrainable", "has no weights to train"),
        ("mixing", "predicts a clip by chance, or by the clips beside it"),
    ],
)
def test_a_wrong_factory_is_told(name, told, config):
    with pytest.raises(UserError) as mistake:
        probe(config(name), 3)
    (problem,) = mistake.value.problems
    assert problem.startswith(f"network '{config(name).network}'")
    assert told in problem


def test_wrong_factories_are_found_before_anything_starts(small, nets):
    arms = {name: {"network": f"{nets}:{name}"} for name in ("nothing", "raises", "TinyNet")}
    with pytest.raises(UserError) as mistake:
        small.prepared(stages={"ablate": {"design": "listed", "seeds": 1, "arms": arms}})
    assert [problem.split("'")[1].split(":")[1] for problem in mistake.value.problems] == ["nothing", "raises"]
    assert not small.folder.exists()


@pytest.mark.parametrize("network", ["nets", "nets:", "a b:c", "blocks:", "nets:a:b"])
def test_what_is_no_dotted_path_is_refused_with_the_file(network, small):
    with pytest.raises(
        UserError, match=r"baseline.network: .*expected: blocks, majority, lbp_top, or package.module:factory"
    ):
        load_study(small.file, {"baseline.network": network})


def test_losolabs_factors_have_no_effect_on_it(config):
    assert config("TinyNet", depth=3, filters=4, dropout=0.1, hidden=7).key() == config("TinyNet").key()
    assert config("TinyNet", regions="eyes+mouth").conflicts() == []
    assert config("TinyNet", weight_decay=0.1).key() != config("TinyNet").key()


def test_bfloat16_is_refused_for_it_with_the_reason(config, small, nets):
    (problem,) = config("TinyNet", precision="bfloat16").conflicts()
    assert problem.startswith("precision: bfloat16") and "TinyNet" in problem and "torch.autocast" in problem
    assert TrialConfig(precision="bfloat16").conflicts() == []
    arms = {"mine": {"network": f"{nets}:TinyNet", "precision": "bfloat16"}}
    with pytest.raises(UserError, match="arm mine: precision: bfloat16"):
        small.prepared(stages={"ablate": {"design": "listed", "seeds": 1, "arms": arms}})


def test_an_example_in_under_40_lines():
    assert len(EXAMPLE.splitlines()) < 40
