"""The baselines that no gradient trains, against implementations that are written out, and on faces with an answer."""

from dataclasses import replace
from math import cos, pi, sin

import numpy as np
import pytest

from search_spaces.config import TrialConfig
from study.classical import lbp_top, predict
from study.models.sizes import network_size, patterns
from study.training.protocol import loso
from study.trials.trial import predicted

LBP = TrialConfig(network="lbp_top", frames=7, crop=16, lbp_blocks=2, sampling="uniform")


def pattern(around: list[int]) -> int:
    """The bin of a circle of bits: of a uniform one by its number of ones and where they begin."""
    many, ones = len(around), sum(around)
    changes = sum(around[i] != around[i - 1] for i in range(many))
    if changes > 2:
        return many * (many - 1) + 2
    if ones in (0, many):
        return 0 if ones == 0 else many * (many - 1) + 1
    first = next(i for i in range(many) if around[i] and not around[i - 1])
    return 1 + (ones - 1) * many + (many - first) % many


def bit(image, row: float, column: float, centre: int) -> int:
    """Whether the image, interpolated between its pixels, is there at least as bright as the centre."""
    top, left = int(np.floor(row)), int(np.floor(column))
    down, right = row - top, column - left
    bottom, end = top + (down > 0), left + (right > 0)
    above = (1 - right) * image[top, left] + right * image[top, end]
    below = (1 - right) * image[bottom, left] + right * image[bottom, end]
    return int((1 - down) * above + down * below >= centre)


def counted_by_hand(volume, config):
    """As Zhao and Pietikäinen say it, voxel by voxel: the shares of patterns."""
    radius, many, cells = config.lbp_radius, config.lbp_neighbours, config.lbp_blocks
    _, height, width = volume.shape
    circle = [
        (round(-radius * sin(2 * pi * p / many), 5), round(radius * cos(2 * pi * p / many), 5)) for p in range(many)
    ]
    table = np.zeros((cells**2, 3, patterns(many)))
    inner = [range(radius, size - radius) for size in volume.shape]
    for t in inner[0]:
        for y in inner[1]:
            for x in inner[2]:
                row, column = ((at - radius) * cells // (size - 2 * radius) for at, size in ((y, height), (x, width)))
                planes = [(volume[t], y, x), (volume[:, y], t, x), (volume[:, :, x], t, y)]
                for plane, (image, down, right) in enumerate(planes):
                    around = [bit(image, down + dy, right + dx, image[down, right]) for dy, dx in circle]
                    table[row * cells + column, plane, pattern(around)] += 1
    return table / table.sum(2, keepdims=True)


@pytest.mark.parametrize(("radius", "neighbours", "cells"), [(1, 4, 1), (1, 8, 2), (2, 8, 3)])
def test_histograms_are_those_of_a_direct_implementation(radius, neighbours, cells):
    draw = np.random.default_rng(radius)
    volume = np.cumsum(draw.integers(0, 9, (7, 11, 10)), axis=2).astype(np.uint8)  # smooth: uniform patterns
    config = replace(LBP, lbp_radius=radius, lbp_neighbours=neighbours, lbp_blocks=cells)
    ours, theirs = lbp_top.histograms(volume, config), counted_by_hand(volume, config)
    assert ours.shape == theirs.shape == (cells**2, 3, neighbours * (neighbours - 1) + 3)
    np.testing.assert_allclose(ours.sum(2), 1)
    np.testing.assert_allclose(ours, theirs)


def test_the_majority_is_the_commonest_class_of_the_training_clips(random_clips):
    clips = random_clips(23, 5)
    config = TrialConfig(network="majority")
    for fold, found in zip(loso(clips, 0), predict.predict(config, clips, loso(clips, 0)), strict=True):
        shares = np.bincount(clips.labels[fold.train], minlength=3) / fold.train.sum()
        np.testing.assert_array_equal(found, np.repeat(shares[None], fold.test.sum(), axis=0))
    assert network_size(config, 3).parameters == 0


def test_features_are_counted_once_for_all_folds_and_seeds(random_clips, monkeypatch):
    clips, counted = random_clips(12, 4), []
    whole = lbp_top.histograms
    monkeypatch.setattr(lbp_top, "histograms", lambda *given: counted.append(1) or whole(*given))
    for config in (LBP, replace(LBP, class_weights="balanced"), replace(LBP, control="shuffled_labels")):
        for seed in (0, 1):
            predicted(config, clips, loso(clips, seed), "cpu")
    assert len(counted) == len(clips)
    assert lbp_top.features(clips, LBP, 0).shape == (12, network_size(LBP, 3).features)


def test_a_class_without_training_clips_is_never_predicted_and_rows_may_come_in_any_order(random_clips):
    clips = random_clips(16, 4)
    alone = replace(clips, labels=np.where(clips.subjects == "s0", 2, clips.labels % 2))
    first = next(fold for fold in loso(alone, 0) if fold.held_out == "s0")
    (found,) = predict.predict(LBP, alone, [first])
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1)
    order = np.random.default_rng(0).permutation(16)
    parts = {
        name: getattr(alone, name)[order] for name in ("ids", "subjects", "labels", "first", "frames", "apex", "fps")
    }
    turned = replace(alone, **parts)
    (again,) = predict.predict(LBP, turned, [next(fold for fold in loso(turned, 0) if fold.held_out == "s0")])
    where = {clip: row for row, clip in enumerate(turned.ids[turned.subjects == "s0"].tolist())}
    rows = [where[clip] for clip in alone.ids[alone.subjects == "s0"].tolist()]
    np.testing.assert_array_equal(again[rows], found)
