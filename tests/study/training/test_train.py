import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from study.models.folded_network import FoldedNetwork
from study.training.labels import permuted, shuffled_labels
from study.training.protocol import loso
from study.training.train import Diverged, Material, batches, fit, loss, train
from tests.small_network import SMALL


def test_the_same_bytes_twice_and_for_any_order_of_rows(random_clips):
    clips = random_clips()
    order = np.random.default_rng(1).permutation(len(clips))
    mixed = replace(
        clips,
        **{name: getattr(clips, name)[order] for name in ("ids", "subjects", "labels", "first", "frames", "apex")},
    )
    config = replace(SMALL, precision="float32")
    first, again, turned = (train(config, these, loso(these, 0)) for these in (clips, clips, mixed))
    for fold, a, b, c in zip(loso(mixed, 0), first, again, turned, strict=True):
        assert a.tobytes() == b.tobytes()
        back = np.argsort(mixed.ids[fold.test])
        assert a.tobytes() == c[back].tobytes()


@pytest.mark.parametrize("normalisation", ["standard", "mean_max", "clip"])
def test_nothing_of_a_held_out_clip_reaches_the_other_predictions(normalisation, random_clips):
    clips = random_clips()
    config = replace(SMALL, normalisation=normalisation, batch_size=5)
    fold = loso(clips, 0)[0]
    before = train(config, clips, [fold])[0]
    relabelled = np.where(fold.test, (clips.labels + 1) % 3, clips.labels)
    assert np.array_equal(train(config, replace(clips, labels=relabelled), [fold])[0], before)
    victim = np.flatnonzero(fold.test)[0]
    pixels = clips.pixels["face"].copy()
    pixels[clips.first[victim] : clips.first[victim] + clips.frames[victim]] //= 3
    after = train(config, replace(clips, pixels={**clips.pixels, "face": pixels}), [fold])[0]
    assert np.array_equal(after[1:], before[1:])
    assert not np.array_equal(after[0], before[0])


def test_a_batch_without_a_training_clip_costs_a_fold_nothing():
    logits = torch.randn(2, 3, 3, requires_grad=True)
    trained_on = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    cost = loss(logits, torch.tensor([[0, 1, 2]]).repeat(2, 1), trained_on)
    torch.testing.assert_close(cost, F.cross_entropy(logits[1, [0, 2]], torch.tensor([0, 2])))
    cost.backward()
    assert (logits.grad[0] == 0).all()


def test_every_epoch_shows_every_clip_once_in_an_order_of_its_own():
    names = [("s", f"clip{i}") for i in range(10)]
    steps = [rows for epoch in range(3) for rows in batches(names, 0, epoch, 4)]
    assert [len(rows) for rows in steps] == [4, 4, 2] * 3
    epochs = [np.concatenate(steps[i : i + 3]).tolist() for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    turned = np.concatenate(batches(names[::-1], 0, 0, 4))
    assert [9 - row for row in turned] == epochs[0]


def test_permuted_labels_keep_every_subjects_classes():
    subjects = np.repeat(["a", "b"], 30)
    labels = np.tile([0, 0, 1, 2, 1], 12)
    out = permuted(labels, subjects, 0)
    for subject in ("a", "b"):
        mine = subjects == subject
        assert sorted(out[mine]) == sorted(labels[mine])
        assert (out[mine] != labels[mine]).any()
    assert np.array_equal(permuted(labels[:30], subjects[:30], 0), out[:30])
    assert not np.array_equal(permuted(labels, subjects, 1), out)


@pytest.mark.parametrize("head", ["flatten", "pool"])
@pytest.mark.parametrize("fusion", ["none", "intermediate", "late"])
@pytest.mark.parametrize("regions", ["face", "eyes", "mouth", "eyes+mouth", "face+eyes+mouth", "frame"])
def test_every_architecture_trains(regions, fusion, head, random_clips):
    clips = random_clips()
    config = replace(SMALL, regions=regions, fusion=fusion, head=head, depth=2, epochs=1, precision="float32")
    for fold, found in zip(loso(clips, 0), train(config, clips, loso(clips, 0)), strict=True):
        assert found.shape == (fold.test.sum(), 3)
        np.testing.assert_allclose(found.sum(1), 1)


def test_shuffled_labels_keep_the_classes_of_a_folds_training_clips():
    labels, trained_on = np.tile([0, 0, 1, 2, 1], 12), np.arange(60) % 6 > 0
    out = shuffled_labels(labels, trained_on, (0, "s"))
    assert sorted(out[trained_on]) == sorted(labels[trained_on])
    assert np.array_equal(out[~trained_on], labels[~trained_on])
    many = [shuffled_labels(labels, trained_on, (seed, "s")) == labels for seed in range(50)]
    assert abs(np.mean(np.stack(many)[:, trained_on]) - 0.36) < 0.03, "chance leaves .4^2 + .4^2 + .2^2 right"
    assert not np.array_equal(out, shuffled_labels(labels, trained_on, (0, "another")))


@pytest.mark.parametrize("control", ["permuted_labels", "shuffled_labels", "single_frame", "shuffled_time"])
def test_controls_change_what_is_learnt(control, random_clips):
    clips = random_clips()
    fold = loso(clips, 0)[:1]
    assert not np.array_equal(train(replace(SMALL, control=control), clips, fold)[0], train(SMALL, clips, fold)[0])


def test_a_network_of_blocks_learns_what_can_be_learnt(random_clips):
    """A bright third of the frame names the class."""
    clips = random_clips(count=24)
    pixels = clips.pixels["face"] // 4
    for label, first, frames in zip(clips.labels, clips.first, clips.frames, strict=True):
        pixels[first : first + frames, label * 10 : label * 10 + 10] += 60
    config = replace(SMALL, epochs=15, dropout=0.1, precision="float32")
    clips = replace(clips, pixels={"face": pixels})
    right = [
        (found.argmax(1) == clips.labels[fold.test]).mean()
        for fold, found in zip(loso(clips, 0), train(config, clips, loso(clips, 0)), strict=True)
    ]
    assert np.mean(right) > 0.9


def test_divergence_is_told_with_its_fold(random_clips):
    clips = random_clips()
    with pytest.raises(Diverged, match=r"learning_rate: 10.0 .*held out: "):
        train(replace(SMALL, learning_rate=10.0, epochs=20, dense_activation="none"), clips, loso(clips, 0)[:1])


BARE = """
import sys
from importlib.abc import MetaPathFinder
class Bare(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pydantic", "yaml", "pandas", "scipy", "ray", "optuna", "mlflow", "decord", "av"}:
            raise ImportError(name)
sys.meta_path.insert(0, Bare())
import study.training.train
assert "torch._dynamo" not in sys.modules  # 1.2 CPU-seconds
"""


def test_training_needs_torch_numpy_and_pyarrow_only():
    subprocess.run([sys.executable, "-c", BARE], check=True)


@pytest.mark.parametrize("precision", ["bfloat16", "tf32"])
def test_coarser_products_are_near_and_leave_torch_as_it_was(precision, random_clips):
    clips = random_clips()
    config = replace(SMALL, precision="float32", depth=2)
    folds, before = loso(clips, 0), torch.backends.cuda.matmul.allow_tf32
    exact, coarse = (train(replace(config, precision=p), clips, folds) for p in ("float32", precision))
    assert torch.backends.cuda.matmul.allow_tf32 == before
    for a, b in zip(exact, coarse, strict=True):
        np.testing.assert_allclose(a, b, atol=0.1)
        assert np.array_equal(a, b) == (precision == "tf32")  # which a CPU does not have


def test_bfloat16_hangs_on_nothing_that_lay_in_memory(random_clips):
    clips = random_clips()
    config, folds = replace(SMALL, precision="bfloat16", depth=2, epochs=1), loso(clips, 0)

    def trained():
        for size in (2**exponent for exponent in range(8, 20)):  # what the allocator hands out next
            torch.full((size,), torch.nan)
        return b"".join(rows.tobytes() for rows in train(config, clips, folds))

    assert len({trained() for _ in range(4)}) == 1


class Waits(TorchDispatchMode):
    """The operations that make a program wait for a GPU: those whose result it reads."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "equal", "masked_select"):
            self.found.append(operation)
        return operation(*args, **(kwargs or {}))


def test_an_epoch_reads_nothing_back_from_the_device(random_clips):
    clips = random_clips()
    config = replace(SMALL, epochs=1, flip=0.5, class_weights="balanced", schedule="cosine", precision="float32")
    folds = loso(clips, 0)
    material = Material(config, clips, folds, "cpu")
    network = FoldedNetwork(config, 3, [(fold.seed, fold.held_out) for fold in folds])
    with Waits() as waits:
        fit(network, material, config)
    assert waits.found == []
    with Waits() as waits:
        torch.ones(1).item()
    assert waits.found
