"""The trainer against the code that is usually written for the same training, in turns: seconds of a LOSO epoch.

    python -m benchmarks.loso_epoch [--settings bcdet] [--repetitions 5] [--precision float32] [--device cpu]

Rivals, each in a process of its own, on one thread, with the same clips and batches:
  loop        one nn.Conv3d network a fold, fold after fold, clips in memory, default malloc
  loop tuned  the same with the trainer's malloc thresholds
  vmap        torch.func's vmap over stacked states, the same malloc
A repetition trains one group of folds, as large as the trainer chooses it in 2 GiB (the default), for a few steps; a
LOSO epoch is as many groups and steps as the dataset has. Seconds are CPU-seconds of the process (on a GPU wall clock),
medians of the repetitions; a ratio is the median of the repetitions' ratios.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks import machine, plain
from search_spaces.config import TrialConfig
from study.models.folded_network import FoldedNetwork
from study.models.geometry import Block, fold_group, geometry
from study.system.memory import peak_memory, reset_peak, tune_malloc
from study.training.protocol import loso
from study.training.train import Material, fit

CLASSES = 3


@dataclass(frozen=True)
class Setting:
    """A configuration, its dataset's size, and the steps of a repetition."""

    title: str
    config: TrialConfig
    clips: int
    folds: int
    steps: int
    vmapped: int = 4  # folds that vmap takes at a time


SMIC, CASME2 = (164, 16), (206, 22)  # CASME2: CAS(ME)^2
SETTINGS = {
    "a": Setting("16 x 32x32, 32 filters 5x3x3", TrialConfig(frames=16, crop=32, kernel_time=5), *SMIC, 5),
    "b": Setting("the paper's SMIC, 18 x 64x64", TrialConfig(), *SMIC, 3),
    "c": Setting("the paper's CAS(ME)^2, 96 x 64x64", TrialConfig(frames=96), *CASME2, 1, vmapped=1),
    "d": Setting("24 x 48x48, two blocks of 3x3x3", TrialConfig(frames=24, crop=48, kernel_time=3, depth=2), *SMIC, 2),
    "e": Setting(
        "intermediate fusion, 18 x 2 x 32x32", TrialConfig(regions="eyes+mouth", fusion="intermediate"), *SMIC, 4
    ),
    "t": Setting("tiny, 8 x 24x24, 8 filters", TrialConfig(frames=8, crop=24, kernel_time=3, filters=8), *SMIC, 10),
}
VARIANTS = ("loop", "loop tuned", "vmap", "losolab")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default="abcdet", help="which, by letter")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--precision", default="float32", help="of the trainer; its rivals stay in float32")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    dtype = torch.bfloat16 if given.precision == "bfloat16" else torch.float32
    print(machine.describe() if given.device == "cpu" else torch.cuda.get_device_name())
    peak = machine.matrix_product_peak(dtype)
    print(
        f"peak of {given.precision}: {peak:.0f} GFLOP/s (matrix product), {machine.convolution_peak(dtype):.0f} (conv.)"
    )
    for letter in given.settings:
        setting = SETTINGS[letter]
        config = replace(setting.config, precision=given.precision, epochs=1)
        measure(letter, replace(setting, config=config), given.repetitions, given.device, peak)


def measure(letter: str, setting: Setting, repetitions: int, device: str, peak: float) -> None:
    """Times of all variants, in turns, and one line for each."""
    group = fold_group(setting.config, CLASSES, 2 * 2**30, device, setting.folds)
    steps = ceil(setting.clips / setting.config.batch_size)
    print(f"\n{letter}) {setting.title}; {setting.folds} folds in groups of {group}, {steps} steps an epoch")
    sizes = {variant: setting.vmapped if variant == "vmap" else group for variant in VARIANTS}
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    pairs = {variant: start(variant, setting, sizes[variant], device) for variant in VARIANTS}
    for turn in range(repetitions + 1):
        for variant, (_, pipe) in pairs.items():
            pipe.send("go")
            seconds = pipe.recv() / sizes[variant] / setting.steps  # of a fold's step
            if turn:  # the first one warms up
                times[variant].append(seconds * setting.folds * steps)
    for variant, (process, pipe) in pairs.items():
        pipe.send("peak")
        ratios = [a / b for a, b in zip(times[variant], times["losolab"], strict=True)]
        seconds = statistics.median(times[variant])
        rate = flops(setting.config) * setting.config.batch_size * setting.folds * steps / seconds / 1e9
        print(
            f"   {variant:<10} {seconds:8.2f} s, {statistics.median(ratios):5.2f} times losolab's, peak "
            f"{pipe.recv():6.0f} MiB, {rate:5.0f} GFLOP/s ({100 * rate / peak:.0f} % of the matrix product)",
            flush=True,
        )
        process.join()


def flops(config: TrialConfig) -> float:
    """Of training on one clip: forward, weight gradients, and input gradients where a layer's input has any."""
    layers = geometry(config, CLASSES).layers
    passes = [2 if isinstance(layer, Block) and not layer.padding else 3 for layer in layers]
    return float(sum(2 * n * layer.multiply_adds for n, layer in zip(passes, layers, strict=True)))


def start(variant: str, setting: Setting, folds: int, device: str) -> tuple[Any, Connection]:
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=work, args=(there, variant, setting, folds, device))
    process.start()
    return process, here


def work(pipe: Connection, variant: str, setting: Setting, folds: int, device: str) -> None:
    """A process: an epoch of a few steps whenever the other side says go."""
    torch.set_num_threads(1)
    if variant != "loop":
        tune_malloc()
    epoch, clock = epochs(variant, setting, folds, device), time.process_time
    if device == "cuda":
        epoch, clock = partial(waited_for, epoch), time.perf_counter
    reset_peak()
    while pipe.recv() == "go":
        before = clock()
        epoch()
        pipe.send(clock() - before)
    pipe.send(peak_memory() if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20)


def waited_for(epoch: Callable[[], None]) -> None:
    epoch()
    torch.cuda.synchronize()


def epochs(variant: str, setting: Setting, folds: int, device: str) -> Callable[[], None]:
    """What a variant does in a repetition; networks and clips are made beforehand."""
    config = setting.config
    clips = plain.noise(config, config.batch_size * setting.steps, setting.folds)
    group = loso(clips, 0)[:folds]
    if variant == "losolab":
        names = [(fold.seed, fold.held_out) for fold in group]
        network, material = FoldedNetwork(config, CLASSES, names).to(device), Material(config, clips, group, device)
        return lambda: fit(network, material, config)
    given = plain.Work(config, clips, group, device)
    return plain.vmapped(given) if variant == "vmap" else plain.loop(given)


if __name__ == "__main__":
    main()
