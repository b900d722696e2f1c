"""What must hold on a GPU before its figures mean anything: the plain loop's numbers, and the same ones each time."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import plain
from search_spaces.config import TrialConfig
from study.data.clips import Clips
from study.models import counter_bits
from study.models.folded_network import FoldedNetwork
from study.models.geometry import geometry
from study.system.memory import ran_out
from study.training.protocol import loso
from study.training.train import Material, batches, fit, products, train

SUBJECTS, CLIPS = 12, 48
SMALL = TrialConfig(
    **{"frames": 12, "crop": 24, "kernel_time": 3, "filters": 4, "hidden": 8, "batch_size": 8, "epochs": 2},
    dropout=0.0,
    learning_rate=2**-6,  # a number of float32, which a GPU keeps learning rates in
)
ARCHITECTURES = {
    "full face": {},
    "full face, two blocks": {"depth": 2},
    "intermediate": {"regions": "eyes+mouth", "fusion": "intermediate"},
    "late": {"regions": "face+eyes+mouth", "fusion": "late", "depth": 2},
}


class Check(NamedTuple):
    """What was checked, whether it holds, and the figure."""

    what: str
    passed: bool
    found: str


def run(device: str) -> list[Check]:
    """All checks, each printed as it ends."""
    checks: list[Check] = []
    for check in (
        masks,
        *(equality(name) for name in ARCHITECTURES),
        twice,
        own,
        groups,
        recorded,
        checkpoints,
        broken,
        memory,
    ):
        began = time.perf_counter()
        try:
            done = check(device)
        except Exception as error:
            done = [Check(getattr(check, "__name__", "check"), False, f"{type(error).__name__}: {error}"[:300])]
        for one in done:
            verdict, seconds = "passed" if one.passed else "FAILED", time.perf_counter() - began
            print(f"{verdict}: {one.what}: {one.found} ({seconds:.1f} s)", flush=True)
        checks += done
    return checks


def masks(device: str) -> list[Check]:
    """Bits drawn on the device are those of the CPU, and a fold's do not hang on its place."""
    seeds, there = [3, 2**64 - 5, 77], torch.device(device)
    here = counter_bits.keep(counter_bits.keys(seeds, torch.device("cpu")), 10_000, 0.7, first=123)
    drawn = counter_bits.keep(counter_bits.keys(seeds, there), 10_000, 0.7, first=123).cpu()
    alone = counter_bits.keep(counter_bits.keys(seeds[1:2], there), 9_000, 0.7, first=1_123).cpu()
    same = torch.equal(here, drawn) and torch.equal(alone[0], drawn[1, 4_000:])
    return [Check("masks are the CPU's, at any place", same, f"{drawn.float().mean():.4f} kept of .7")]


def equality(name: str) -> Callable[[str], list[Check]]:
    """Parameters after training all folds as one against a plain loop's, in float64."""

    def check(device: str) -> list[Check]:
        config = replace(SMALL, precision="float64", **ARCHITECTURES[name])
        clips = plain.noise(config, CLIPS, SUBJECTS)
        folds = loso(clips, 0)
        with products(config.precision):
            network = FoldedNetwork(config, 3, [(fold.seed, fold.held_out) for fold in folds], device)
            begun = {key: value.clone() for key, value in network.state_dict().items()}
            fit(network, Material(config, clips, folds, device), config)
            worst = max(_difference(network, begun, config, clips, place, device) for place in range(len(folds)))
        return [Check(f"{name}: the plain loop's parameters in float64", worst < 1e-9, f"{worst:.1e} apart")]

    return check


def _difference(
    network: FoldedNetwork, begun: dict[str, torch.Tensor], config: TrialConfig, clips: Clips, place: int, device: str
) -> float:
    """Largest difference of a fold's parameters to those of the plain loop, relative to each tensor's largest."""
    fold = loso(clips, 0)[place]
    work = plain.Work(config, clips, [fold], device)
    alone = plain.Network(config, work.classes).to(device, torch.float64)
    keys = [key for key, _ in network.named_parameters()]
    shapes = {key: _shapes(key, config) for key in keys}
    for key, own in zip(keys, alone.parameters(), strict=True):
        own.data = _as_plain(begun[key][place], own, shapes[key])
    update = torch.optim.SGD(alone.parameters(), config.learning_rate, config.momentum)
    inputs, names = work.normalised(fold), list(zip(clips.subjects.tolist(), clips.ids.tolist(), strict=True))
    for epoch in range(config.epochs):
        for rows in batches(names, 0, epoch, config.batch_size):
            mine = torch.from_numpy(rows[fold.train[rows]]).to(device)
            update.zero_grad()
            F.cross_entropy(alone({region: x[mine] for region, x in inputs.items()}), work.labels[mine]).backward()
            update.step()
    found = {key: value.detach()[place] for key, value in network.named_parameters()}
    theirs = [own.detach() for own in alone.parameters()]
    pairs = [(_as_plain(found[key], own, shapes[key]), own) for key, own in zip(keys, theirs, strict=True)]
    return max(float((ours - own).abs().max() / own.abs().max()) for ours, own in pairs)


def _shapes(key: str, config: TrialConfig) -> list[tuple[int, ...]]:
    """Of a dense layer's weights that read what blocks give, the blocks' results (T, H, W, filters); else none."""
    if not key.endswith("hidden.0.dense.weight"):
        return []
    parts = [part for part in geometry(config, 3).streams if key.startswith(("hidden", f"streams.{part.region}."))]
    return [(*part.blocks[-1].shape, part.blocks[-1].filters) for part in parts]


def _as_plain(own: torch.Tensor, like: torch.Tensor, shapes: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """A fold's parameter as nn.Conv3d or nn.Linear has it, which takes what blocks give with the channels first."""
    if shapes:
        parts = own.split([prod(shape) for shape in shapes])
        own = torch.cat(
            [part.unflatten(0, shape).movedim(3, 0).flatten(0, 3) for part, shape in zip(parts, shapes, strict=True)]
        )
    return (own.T if own.ndim == 2 and like.ndim == 2 else own).reshape(like.shape).clone()


def twice(device: str) -> list[Check]:
    """The same bytes from two runs, in every precision, with dropout and everything that is drawn."""
    found = []
    for precision in ("float32", "tf32", "bfloat16", "float64"):
        config = replace(
            SMALL, precision=precision, depth=2, dropout=0.3, flip=0.5, crop_shift=2, temporal_jitter=1, momentum=0.9
        )
        clips = plain.noise(config, CLIPS, SUBJECTS)
        first, second = (_bytes(train(config, clips, loso(clips, 0), device)) for _ in range(2))
        found.append(Check(f"two runs give one digest in {precision}", first == second, f"{len(first)} bytes"))
    return found


def own(device: str) -> list[Check]:
    """The same of a user's own networks, stacked and fold by fold."""
    found = []
    for name, together in (("stacked", SUBJECTS), ("alone", 1)):
        config = replace(SMALL, network=f"benchmarks.own_networks:{name}", frames=12, crop=24)
        clips = plain.noise(config, CLIPS, SUBJECTS)
        folds = loso(clips, 0)[:together]
        runs = [_bytes(train(config, clips, folds, device)) for _ in range(5)]
        found.append(
            Check(f"five runs of a network of one's own, {name}", len(set(runs)) == 1, f"{len(set(runs))} digests")
        )
    return found


BREAKS = """
import torch
from study.system.memory import broke, ran_out
try:
    torch.zeros(2, device="cuda")[torch.tensor([5], device="cuda")]
    torch.cuda.synchronize()
except Exception as error:
    print(type(error).__name__, broke(error), ran_out(error), str(error).splitlines()[0])
    try:
        torch.ones(2, device="cuda").sum().item()
    except Exception as later:
        print(broke(later))
"""


def broken(device: str) -> list[Check]:
    """An error of the card is known as one after which the process is of no use."""
    if device == "cpu":
        return []
    said = subprocess.run([sys.executable, "-c", BREAKS], capture_output=True, text=True, check=False).stdout.strip()
    return [Check("a broken process is known as such", " True False " in said and said.endswith("True"), said[:200])]


def groups(device: str) -> list[Check]:
    """A fold's predictions in groups of 1, 8 and all: in float64 but for rounding."""
    found = []
    for precision, most in (("float64", 1e-9), ("float32", 1e-2)):
        config = replace(SMALL, precision=precision, dropout=0.3)
        clips = plain.noise(config, CLIPS, SUBJECTS)
        folds, by_size = loso(clips, 0), {}
        for size in (1, 8, SUBJECTS):
            parts = [folds[start : start + size] for start in range(0, SUBJECTS, size)]
            by_size[size] = np.concatenate([rows for part in parts for rows in train(config, clips, part, device)])
        apart = max(float(np.abs(rows - by_size[SUBJECTS]).max()) for rows in by_size.values())
        found.append(Check(f"groups of 1, 8 and {SUBJECTS} folds agree in {precision}", apart < most, f"{apart:.1e}"))
    return found


def recorded(device: str) -> list[Check]:
    """Epochs repeated by a CUDA graph give the same bytes, whatever changes from step to step."""
    if device == "cpu":
        return []
    found = []
    for optimiser in ("sgd", "nesterov", "adamw"):
        config = replace(SMALL, epochs=5, dropout=0.3, flip=0.5, crop_shift=2, momentum=0.9, weight_decay=0.01, depth=2)
        config = replace(config, optimiser=optimiser, schedule="cosine", precision="bfloat16")
        clips = plain.noise(config, CLIPS, SUBJECTS)
        eager, graph = (_bytes(train(config, clips, loso(clips, 0), device, graphs)) for graphs in (False, True))
        found.append(Check(f"a CUDA graph gives the same bytes, {optimiser}", eager == graph, f"{len(graph)} bytes"))
    return found


def checkpoints(device: str) -> list[Check]:
    """Predictions are read between the epochs of a CUDA graph: every checkpoint gives the same bytes without one."""
    found = []
    for checkpoint in ("inner_validation", "mean_of_last", "test_oracle"):
        config = replace(SMALL, precision="float64", epochs=6, dropout=0.0, learning_rate=0.03, momentum=0.9)
        config = replace(config, checkpoint=checkpoint, last_epochs=3)
        clips = plain.noise(config, CLIPS, SUBJECTS)
        eager, graph = (
            _bytes(train(config, clips, loso(clips, 0), device, graphs)) for graphs in (False, device != "cpu")
        )
        found.append(
            Check(f"checkpoint {checkpoint}: a CUDA graph gives the same bytes", eager == graph, f"{len(graph)} bytes")
        )
    return found


def memory(device: str) -> list[Check]:
    """Out of memory is told as such, and the process trains on."""
    if device == "cpu":
        return []
    config = replace(SMALL, batch_size=4096, frames=96, crop=128, filters=64)
    clips = plain.noise(config, 8, 4)
    torch.cuda.set_per_process_memory_fraction(0.005)
    try:
        train(replace(config, hidden=4096), clips, loso(clips, 0), device)
        said = "nothing was raised"
    except Exception as error:
        said = (
            f"{type(error).__name__}" if ran_out(error) else f"not known as such: {type(error).__name__}: {error}"[:200]
        )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    clips = plain.noise(SMALL, CLIPS, SUBJECTS)
    after = np.concatenate(train(SMALL, clips, loso(clips, 0), device))
    passed = said in ("OutOfMemoryError", "AcceleratorError") and bool(np.isfinite(after).all())
    return [Check("out of memory is told, and the next trial runs", passed, said)]


def _bytes(found: Sequence[np.ndarray]) -> bytes:
    return b"".join(rows.tobytes() for rows in found)
