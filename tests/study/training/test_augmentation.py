"""Augmentation: what is drawn, for whom, and that only training sees it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from search_spaces.config import TrialConfig
from study.training.augmentation import Views, views
from study.training.protocol import loso
from study.training.train import train

CPU = torch.device("cpu")
NAMES = [(f"s{i % 20}", f"clip{i}") for i in range(4000)]


def test_what_is_drawn():
    drawn = views(TrialConfig(flip=0.25, crop_shift=3, temporal_jitter=1), 0, 5, NAMES, CPU)
    assert drawn.mirrored.double().mean() == pytest.approx(0.25, abs=0.03)
    for moves, most in (drawn.down, 3), (drawn.right, 3), (drawn.later, 1):
        values, counts = moves.unique(return_counts=True)
        assert values.tolist() == list(range(-most, most + 1))
        assert (counts / len(NAMES)).tolist() == pytest.approx([1 / (2 * most + 1)] * len(values), abs=0.03)
    correlations = np.corrcoef(torch.stack(drawn).numpy()) - np.eye(4)
    assert np.abs(correlations).max() < 0.06


def test_a_clips_view_follows_seed_epoch_and_clip_alone():
    config = TrialConfig(flip=0.5, crop_shift=4, temporal_jitter=4)
    together = torch.stack(views(config, 1, 2, NAMES[:50], CPU))
    alone = torch.cat([torch.stack(views(config, 1, 2, [name], CPU)) for name in NAMES[:50]], dim=1)
    assert torch.equal(together, alone)
    for seed, epoch in (0, 2), (1, 3):
        assert not torch.equal(torch.stack(views(config, seed, epoch, NAMES[:50], CPU)), together)


def test_without_augmentation_there_are_no_views():
    assert views(TrialConfig(), 0, 0, NAMES, CPU) is None


def test_moves_go_where_they_say_and_edges_repeat():
    clip = torch.arange(3)[:, None, None] * 100 + torch.arange(4)[:, None] * 10 + torch.arange(5)
    one = torch.ones(1, dtype=torch.int64)
    moved = Views(0 * one, one, -one, one).of(clip[None])[0]
    assert moved[2, 3, 2] == clip[1, 2, 3]
    assert torch.equal(moved[0], moved[1])
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert torch.equal(moved[..., 4], moved[..., 3])
    assert torch.equal(Views(one, 0 * one, 0 * one, 0 * one).of(clip[None])[0], clip.flip(2))


@pytest.mark.parametrize("option", [{"flip": 1.0}, {"crop_shift": 4}, {"temporal_jitter": 3}])
def test_predictions_see_clips_as_they_are(option, random_clips):
    """A network that cannot learn says the same with and without."""
    config = TrialConfig(frames=9, crop=24, kernel_time=3, filters=2, hidden=4, epochs=1, learning_rate=1e-7, dropout=0)
    clips = random_clips(count=8)
    fold = loso(clips, 0)[:1]
    plain, augmented = (train(c, clips, fold)[0] for c in (config, replace(config, **option)))
    np.testing.assert_allclose(plain, augmented, atol=1e-5)


@pytest.mark.parametrize(
    ("option", "told"), [({"crop_shift": 17}, "at most 16"), ({"temporal_jitter": 10}, "at most 9")]
)
def test_more_than_half_of_a_clip_is_refused(option, told):
    (problem,) = TrialConfig(regions="eyes", **option).conflicts()
    assert problem.startswith(next(iter(option)))
    assert told in problem
