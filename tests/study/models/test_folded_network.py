import pytest
import torch
import torch.nn.functional as F

from search_spaces.config import TrialConfig
from study.models import gpu
from study.models.dropout import Dropout, nothing
from study.models.folded_network import FoldedNetwork, averages
from study.models.geometry import geometry

FOLDS = [(0, "s1"), (0, "s2"), (0, "s3")]


@pytest.mark.parametrize("shape", [(1, 2, 5), (3, 3, 3), (7, 4, 10)])
@pytest.mark.parametrize("grid", [1, 2, 3, 4])
def test_averages_are_adaptive_pooling(shape, grid):
    x = torch.randn(2, 5, *shape, dtype=torch.float64)
    ours = averages(shape, grid) @ x.permute(0, 2, 3, 4, 1).flatten(1, 3)
    theirs = F.adaptive_avg_pool3d(x, grid).permute(0, 2, 3, 4, 1).flatten(1, 3)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("fusion", ["none", "intermediate", "late"])
@pytest.mark.parametrize("regions", ["face", "eyes+mouth"])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_network_has_the_parameters_of_its_geometry(regions, fusion, depth):
    config = TrialConfig(regions=regions, fusion=fusion, depth=depth, filters=4, hidden=5, crop=32)
    network = FoldedNetwork(config, 3, FOLDS)
    assert sum(weight.numel() for weight in network.parameters()) == 3 * geometry(config, 3).parameters


def test_initial_weights_follow_the_folds_name_and_not_its_place():
    config = TrialConfig(regions="eyes+mouth", fusion="late", depth=2, filters=2, hidden=2, crop=32)
    here, there = (FoldedNetwork(config, 3, folds).state_dict() for folds in (FOLDS, [FOLDS[2], FOLDS[0]]))
    for name, weight in here.items():
        assert torch.equal(weight[[2, 0]], there[name])
        assert name.endswith("bias") or not torch.equal(weight[0], weight[1])


def test_initial_weights_are_glorot_uniform():
    network = FoldedNetwork(TrialConfig(filters=64, crop=32), 3, FOLDS)
    first, dense = network.streams["face"].first.weight.detach(), network.hidden[0].dense.weight.detach()
    assert first.abs().max() == pytest.approx((6 / (135 * 65)) ** 0.5, rel=1e-3)
    assert dense.abs().max() == pytest.approx((6 / (dense.shape[1] + 128)) ** 0.5, rel=1e-3)


def test_float64_starts_from_the_weights_of_float32():
    narrow, wide = (FoldedNetwork(TrialConfig(crop=32, precision=p), 3, FOLDS) for p in ("float32", "float64"))
    for a, b in zip(narrow.parameters(), wide.parameters(), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)


def dropout(folds, share):
    return Dropout(folds, share, {"dense1": 40, "dense2": 40}, 50, torch.device("cpu"))


@pytest.mark.parametrize("drawn_by", ["the CPU", "a GPU"])
def test_dropout_follows_name_layer_and_step(drawn_by, monkeypatch):
    monkeypatch.setattr(gpu, "is_gpu", lambda device: drawn_by == "a GPU")
    x = torch.ones(3, 50, 40)
    masks = dropout(FOLDS, 0.3)
    drawn = masks.at(5)("dense1", x)
    assert drawn.unique().tolist() == pytest.approx([0.0, 1 / 0.7], rel=1e-4)
    assert drawn.mean() == pytest.approx(1, abs=0.05)
    assert torch.equal(dropout(FOLDS[1:2], 0.3).at(5)("dense1", x[:1])[0], drawn[1])
    assert not torch.equal(masks.at(6)("dense1", x), drawn)
    assert not torch.equal(masks.at(5)("dense2", x), drawn)


def test_no_dropout_is_no_change():
    x = torch.ones(3, 5)
    assert dropout(FOLDS, 0.0).at(0) is nothing
    assert nothing("dense1", x) is x
