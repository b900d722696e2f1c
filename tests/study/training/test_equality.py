"""Folded training equals fold-by-fold training of a plain nn.Module by torch.optim, under every option."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from search_spaces.digests import stream
from study.data.sampling import sample
from study.models.folded_network import DTYPES, FoldedNetwork
from study.models.geometry import geometry
from study.system import random_bits
from study.training.augmentation import views
from study.training.protocol import loso
from study.training.train import batches, fitted, train
from tests import small_network

SMALL = replace(small_network.SMALL, epochs=3)
ARCHITECTURES = {
    "full face": {},
    "intermediate": {"regions": "eyes+mouth", "fusion": "intermediate", "dense_activation": "none"},
    "late": {"regions": "face+eyes+mouth", "fusion": "late", "input": "frame_difference"},
}
INTERMEDIATE = ARCHITECTURES["intermediate"] | {"depth": 2}
OPTIONS = {
    "plain SGD": {"momentum": 0.0},
    "weight decay": {"weight_decay": 0.1},
    "Nesterov": {"optimiser": "nesterov", "momentum": 0.9, "weight_decay": 0.01},
    "AdamW": {"optimiser": "adamw", "weight_decay": 0.1, "learning_rate": 1e-3},
    "cosine": {"schedule": "cosine", "learning_rate": 0.05},
    "balanced": {"class_weights": "balanced"},
    "shuffled labels": {"control": "shuffled_labels", "class_weights": "balanced"},
    "mirrored": {"flip": 0.5},
    "shifted": {"crop_shift": 3},
    "jittered": {"temporal_jitter": 2, "input": "frame_difference"},
    "scaled by mean and maximum": {"normalisation": "mean_max"},
    "scaled clip by clip": {"normalisation": "clip"},
    "pooled": {"head": "pool", "grid": 2},
    "batches of one clip": {"batch_size": 1, "optimiser": "adamw", "weight_decay": 0.1, "learning_rate": 1e-3},
    "all at once": {"optimiser": "adamw", "weight_decay": 0.1, "learning_rate": 1e-3, "schedule": "cosine"}
    | {"class_weights": "balanced", "flip": 0.5, "crop_shift": 3, "temporal_jitter": 2, "normalisation": "clip"},
}


class Plain(nn.Module):
    """One fold's network as anybody would write it, with the weights and dropout masks of fold f of a folded one."""

    def __init__(self, config, folded, f, name):
        super().__init__()
        self.config, self.name = config, name
        self.plan = geometry(config, 3)
        state = {key: value[f] for key, value in folded.state_dict().items() if not key.endswith("cells")}
        self.layers = nn.ModuleDict()
        for part in self.plan.streams:
            at = f"streams.{part.region}."
            places = ["first", *(f"later.{i}" for i in range(len(part.blocks) - 1))]
            for block, place in zip(part.blocks, places, strict=True):
                conv = nn.Conv3d(
                    block.inputs, block.filters, block.kernel, padding="valid" if place == "first" else "same"
                )
                self.put(block.name, conv, state[f"{at}{place}.weight"], state[f"{at}{place}.bias"])
            for i, layer in enumerate(part.dense):
                self.linear(layer, state, f"{at}hidden.{i}.dense")
        for i, layer in enumerate(self.plan.dense[:-1]):
            self.linear(layer, state, f"hidden.{i}.dense")
        self.linear(self.plan.dense[-1], state, "output")

    def linear(self, layer, state, at):
        self.put(layer.name, nn.Linear(layer.inputs, layer.units), state[f"{at}.weight"].T, state[f"{at}.bias"])

    def put(self, name, module, weight, bias):
        module.to(weight.dtype)
        module.load_state_dict({"weight": weight.reshape(module.weight.shape), "bias": bias.flatten()})
        self.layers[name.replace(".", "_")] = module

    def call(self, name, x):
        return self.layers[name.replace(".", "_")](x)

    def drop(self, name, x, step):
        """Masks are drawn with the channels last."""
        if step is None:
            return x
        kept = round((1 - self.config.dropout) * 65536) / 65536
        last = x.movedim(1, -1)
        mask = random_bits.keep(stream("dropout", *self.name, name), step, kept, tuple(last.shape))
        return (last * torch.from_numpy(mask) / kept).movedim(-1, 1)

    def hidden(self, layers, x, step):
        for layer in layers:
            x = self.call(layer.name, x)
            x = self.drop(layer.name, F.relu(x) if self.config.dense_activation == "relu" else x, step)
        return x

    def forward(self, inputs, step):
        parts = []
        for part in self.plan.streams:
            x = inputs[part.region][:, None]
            for block in part.blocks:
                x = F.max_pool3d(F.relu(self.call(block.name, x)), block.pool)
                x = self.drop(block.name, x, step)
            if self.config.head == "pool":
                x = F.adaptive_avg_pool3d(x, self.config.grid)
            parts.append(self.hidden(part.dense, x.movedim(1, -1).flatten(1), step))
        x = self.hidden(self.plan.dense[:-1], torch.cat(parts, 1), step)
        return self.call(self.plan.dense[-1].name, x)


@cache
def plain_loop(config, clips, f):
    """Fold f as anybody would train it: the network after the last epoch, and what it says of its held-out clips."""
    fold = loso(clips, 1)[f]
    inner = validating(config, clips, fold)
    fold = replace(fold, train=fold.train & ~inner)
    inputs = {region: normalised(config, x, fold) for region, x in sample(clips, config, 1).items()}
    name = (1, fold.held_out)
    network = Plain(config, FoldedNetwork(config, 3, [name]), 0, name)
    names = list(zip(clips.subjects.tolist(), clips.ids.tolist(), strict=True))
    labels, steps = torch.from_numpy(told(config, clips, fold)), -(-len(names) // config.batch_size)
    optimiser, criterion = optimiser_of(config, network), criterion_of(config, clips, fold)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps * config.epochs)
    ordered = [rows for epoch in range(config.epochs) for rows in batches(names, 1, epoch, config.batch_size)]
    after = []
    for step, rows in enumerate(ordered):
        seen = {
            region: shown(config, x[rows], [names[row] for row in rows], step // steps) for region, x in inputs.items()
        }
        logits, mine = network(seen, step), torch.from_numpy(fold.train[rows])
        optimiser.zero_grad(set_to_none=False)
        cost = criterion(logits[mine], labels[rows][mine]) if mine.any() else 0 * logits.sum()
        cost.backward()
        optimiser.step()
        if config.schedule == "cosine":
            schedule.step()
        if (step + 1) % steps == 0:
            with torch.no_grad():
                after.append(torch.softmax(network(inputs, None).double(), 1).numpy())
    return network, taken(config, clips, after, fold.test, inner)[fold.test]


def validating(config, clips, fold):
    """The clips of the first training subjects by their streams, a fifth of the subjects and one at least."""
    if config.checkpoint != "inner_validation":
        return np.zeros(len(clips), dtype=bool)
    training = sorted(set(clips.subjects[fold.train].tolist()))
    training.sort(key=lambda subject: stream("inner_validation", 1, fold.held_out, subject))
    return np.isin(clips.subjects, training[: max(1, round(config.inner_share * len(training)))])


def taken(config, clips, after, test, inner):
    """Of the predictions after every epoch those that a checkpoint takes."""
    if config.checkpoint == "mean_of_last":
        return np.mean(after[-config.last_epochs :], axis=0)
    if config.checkpoint == "test_oracle":
        right = [(found[test].argmax(1) == clips.labels[test]).mean() for found in after]
        return after[right.index(max(right))]
    if config.checkpoint == "inner_validation":
        losses = [
            F.nll_loss(torch.from_numpy(found[inner]).log(), torch.from_numpy(clips.labels[inner])) for found in after
        ]
        return after[losses.index(min(losses))]
    return after[-1]


def told(config, clips, fold):
    """The labels that a fold is told: permuted over its training clips, which lie sorted by subject and id."""
    labels = clips.labels.copy()
    if config.control == "shuffled_labels":
        order = np.lexsort((clips.ids, clips.subjects))
        rows = order[fold.train[order]]
        labels[rows] = labels[rows[random_bits.permutation(stream("shuffled_labels", 1, fold.held_out), len(rows))]]
    return labels


def optimiser_of(config, network):
    given = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimiser == "adamw":
        return torch.optim.AdamW(network.parameters(), **given)
    nesterov = config.optimiser == "nesterov"
    return torch.optim.SGD(network.parameters(), momentum=config.momentum, nesterov=nesterov, **given)


def criterion_of(config, clips, fold):
    if config.class_weights == "none":
        return nn.CrossEntropyLoss()
    own = told(config, clips, fold)[fold.train]
    return nn.CrossEntropyLoss(torch.from_numpy(compute_class_weight("balanced", classes=np.arange(3), y=own)))


def shown(config, clips, names, epoch):
    """Clips moved and mirrored one by one, by padding and cutting."""
    out, pad = clips.clone(), 10
    for clip, name in enumerate(names):
        if drawn := views(config, 1, epoch, [name], torch.device("cpu")):
            mirrored, *moves = (int(part) for part in drawn)
            padded = np.pad(clips[clip].numpy(), pad, mode="edge")
            starts = [pad - by for by in (moves[2], moves[0], moves[1])]
            cut = padded[tuple(slice(at, at + size) for at, size in zip(starts, clips.shape[1:], strict=True))]
            out[clip] = torch.from_numpy(np.flip(cut, 2).copy() if mirrored else cut)
    return out


def normalised(config, pixels, fold):
    x = pixels.astype(np.float64)
    if config.input == "frame_difference":
        x = x - x[:, :1]
    if config.normalisation == "clip":
        scaled = (x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
        return torch.from_numpy(scaled).to(DTYPES[config.precision])
    mean = x[fold.train].mean()
    scale = x[fold.train].std() if config.normalisation == "standard" else (x[fold.train] - mean).max()
    return torch.from_numpy((x - mean) / scale).to(DTYPES[config.precision])


def groups(folds, size):
    return [folds[start : start + size] for start in range(0, len(folds), size)]


def difference(config, clips, size):
    """Largest relative difference of any fold's parameters to the plain loop's, in groups of this size."""
    worst, f = 0.0, 0
    for group in groups(loso(clips, 1), size):
        folded, _ = fitted(config, clips, group)
        for place, fold in enumerate(group):
            ours = Plain(config, folded, place, (1, fold.held_out)).parameters()
            for mine, theirs in zip(ours, plain_loop(config, clips, f)[0].parameters(), strict=True):
                worst = max(worst, float((mine - theirs).abs().max().detach() / theirs.abs().max().detach()))
            f += 1
    return worst


@pytest.fixture(scope="module")
def clips(random_clips):
    return random_clips()


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameters_are_those_of_fold_by_fold_training(architecture, depth, clips):
    config = replace(SMALL, depth=depth, **ARCHITECTURES[architecture])
    assert max(difference(config, clips, size) for size in (1, 3, 4)) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_under_every_option_in_a_group_and_alone(option, clips):
    config = replace(SMALL, **INTERMEDIATE | OPTIONS[option])
    assert max(difference(config, clips, size) for size in (1, 4)) < 1e-10


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "plain SGD"])
def test_every_option_changes_what_is_learnt(option, clips):
    usual, changed = (
        train(replace(SMALL, **INTERMEDIATE | o), clips, loso(clips, 1)[:1]) for o in ({}, OPTIONS[option])
    )
    assert np.abs(usual[0] - changed[0]).max() > 1e-6


@pytest.mark.parametrize("option", ["plain SGD", "AdamW", "all at once"])
def test_predictions_are_those_of_fold_by_fold_training(option, clips):
    config = replace(SMALL, **INTERMEDIATE | OPTIONS[option])
    for f, ours in enumerate(train(config, clips, loso(clips, 1))):
        assert np.ptp(ours, axis=0).min() > 1e-4  # not a dead network, which would equal another in its bias alone
        np.testing.assert_allclose(ours, plain_loop(config, clips, f)[1], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("option", ["plain SGD", "AdamW"])
def test_classes_agree_in_float32_on_synthetic_clips(option, architecture, small):
    config = replace(SMALL, precision="float32", depth=2, **ARCHITECTURES[architecture] | OPTIONS[option])
    clips = small.clips()
    for f, ours in enumerate(train(config, clips, loso(clips, 1))):
        theirs = plain_loop(config, clips, f)[1]
        assert (ours.argmax(1) == theirs.argmax(1)).all()
        np.testing.assert_allclose(ours, theirs, rtol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("wide", [{"depth": 1}, {"depth": 2, "filters": 32, "epochs": 1}])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_fold_alone_has_the_same_bits_in_any_group(option, wide, clips):
    config = replace(SMALL, precision="float32", **INTERMEDIATE | OPTIONS[option] | wide)
    folds = loso(clips, 1)
    alone = [train(config, clips, [fold])[0] for fold in folds[:2]]
    for group in (folds, folds[1::-1]):
        found = dict(zip([fold.held_out for fold in group], train(config, clips, group), strict=True))
        for fold, own in zip(folds, alone, strict=False):
            assert found[fold.held_out].tobytes() == own.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_where_narrow_folds_share_a_convolution_the_last_digits_differ(option, clips):
    """Several folds with few filters are one convolution, whose kernel sums in the order that fits its width."""
    config = replace(SMALL, precision="float32", **INTERMEDIATE | OPTIONS[option])
    folds = loso(clips, 1)
    for fold, together in zip(folds[:2], train(config, clips, folds), strict=False):
        alone = train(config, clips, [fold])[0]
        assert (alone.argmax(1) == together.argmax(1)).all()
        np.testing.assert_allclose(alone, together, rtol=1e-4)  # 3e-7 was seen


CHECKPOINTS = {
    "inner_validation": {},
    "mean_of_last": {"last_epochs": 3},
    "test_oracle": {},
}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_checkpoints_take_the_epochs_of_a_plain_loop(checkpoint, clips):
    """In float64: the same epochs of every fold, and so the same probabilities."""
    config = replace(SMALL, epochs=6, learning_rate=0.03, checkpoint=checkpoint, **CHECKPOINTS[checkpoint])
    folds = loso(clips, 1)
    found = [own for group in groups(folds, 3) for own in train(config, clips, group)]
    for f, own in enumerate(found):
        np.testing.assert_allclose(own, plain_loop(config, clips, f)[1], rtol=0, atol=1e-10)
    last = train(replace(config, checkpoint="last"), clips, folds)
    assert not np.allclose(np.concatenate(found), np.concatenate(last)), "every fold took its last epoch"


def test_the_oracle_shows_its_leak_where_there_is_nothing_to_learn(random_clips):
    """Labels permuted within subjects, pixels of noise: the best epoch on the test clips is above the last."""
    noise = random_clips(48, 8)
    config = replace(SMALL, epochs=15, learning_rate=0.05, control="permuted_labels")
    scores = {}
    for checkpoint in ("last", "test_oracle"):
        found = train(replace(config, checkpoint=checkpoint), noise, loso(noise, 1))
        truth = np.concatenate([noise.labels[fold.test] for fold in loso(noise, 1)])
        scores[checkpoint] = f1_score(truth, np.concatenate(found).argmax(1), average="macro")
    assert scores["test_oracle"] > scores["last"] + 0.05, scores
