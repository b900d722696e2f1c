"""The trainer on a GPU: what must hold there, then what it takes beside the code that is usually written.

    python -m benchmarks.gpu [--settings bcet] [--minutes 8] [--out FOLDER] [--small] [--host]

Needs torch, numpy and pyarrow. First the checks (benchmarks/gpu_checks.py); one that fails ends it with exit code 1.
Then a LOSO epoch in each setting of benchmarks/loso_epoch.py, in float32, tf32 and bfloat16, by
  losolab     all folds as one network, an epoch's steps recorded as a CUDA graph and repeated (on a CPU: as eager)
  eager       the same without the graph
  loop        one nn.Conv3d network a fold, fold after fold, its masks drawn on the device, cudnn.benchmark on
  vmap        torch.func's vmap over stacked states, 4 folds at a time
Seconds are wall clock between two synchronisations, medians of 3 (rivals: of 2 folds or 4, times how many folds there
are); ratios are to losolab's. A kernel is what torch's profiler sees the device begin; `on the device` is the time of
all as a share of the epoch. The roofline is the longer of two times: multiplications at the rate of a large matrix
product of that precision, and the bytes that no program of this kind can spare (`least_bytes`) at that of a large copy.

--small: the same on a CPU in seconds, for the tests; its figures mean nothing. --host: what the CPU does for a step, on
tensors without values. --minutes: settings that begin later than this are left out, and it says so.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, prod
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import gpu_checks, gpu_host, plain
from benchmarks.loso_epoch import CLASSES, SETTINGS, Setting, flops
from benchmarks.machine import matrix_product_peak, median_seconds
from search_spaces.config import TrialConfig
from study.models import gpu
from study.models.folded_network import FoldedNetwork
from study.models.geometry import Block, geometry, training_bytes
from study.system.memory import peak_memory, release_memory, reset_peak, tune_malloc
from study.training.protocol import loso
from study.training.train import Material, fit, products

PRECISIONS = ("float32", "tf32", "bfloat16")
VARIANTS = ("losolab", "eager", "loop", "vmap")
COLUMNS = (
    *("setting", "precision", "losolab, ms an epoch", "eager", "loop", "vmap", "kernels a step"),
    *("on the device", "of the roofline", "peak, MiB", "of the estimate"),
)
SMALL = {"frames": 6, "crop": 16, "kernel_time": 3, "filters": 2, "hidden": 4}
Work = Callable[[], Any]


@dataclass(frozen=True)
class Card:
    """The device, and what it can: products a second of each precision, bytes a second of a copy (read and written)."""

    name: str
    torch: str
    products: dict[str, float]
    copied: float


@dataclass(frozen=True)
class Figure:
    """A LOSO epoch by one variant; None where it was not measured."""

    setting: str
    precision: str
    variant: str
    seconds: float | None
    kernels: float | None = None  # of a step
    busy: float | None = None  # share of the time in which the device computes
    roofline: float | None = None
    peak: float | None = None  # MiB
    estimate: float | None = None
    why: str = ""
    dearest: tuple[tuple[str, float], ...] = ()  # kernels, with their milliseconds of a step


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default="btec", help="which, by letter")
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for gpu.md and gpu.json")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--host", action="store_true")
    given = parser.parse_args(argv)
    if given.host:
        gpu_host.main(given.settings)
        return
    device = "cpu" if given.small else "cuda"
    if not given.small and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; --small runs the same on a CPU")
    tune_malloc()
    with patch.object(gpu, "is_gpu", lambda _: True):  # on a CPU, too
        accept(given, device)


def accept(given: argparse.Namespace, device: str) -> None:
    """The checks, then the figures as far as time goes; both are written after every setting."""
    began, checks = time.monotonic(), gpu_checks.run(device)
    figures: list[Figure] = []
    card = measured(device)
    print(f"{card.name}, torch {card.torch}: {card.copied / 1e9:.0f} GB/s copied", flush=True)
    for precision in given.precisions.split(","):
        for letter in given.settings:
            if time.monotonic() - began > 60 * given.minutes:
                print(f"{letter} in {precision}: left out, {given.minutes:g} minutes are over", flush=True)
                continue
            figures += of_setting(letter, precision, device, card)
            write(given.out, card, checks, figures)
    print(table(card, figures))
    if not all(passed for _, passed, _ in checks):
        sys.exit(1)


def of_setting(letter: str, precision: str, device: str, card: Card) -> list[Figure]:
    """Every variant in one setting, a line printed for each."""
    setting = SETTINGS[letter]
    config = replace(setting.config, precision=precision, epochs=1)
    setting = replace(setting, config=config)
    if device == "cpu":
        setting = replace(setting, config=replace(config, **SMALL), clips=24, folds=4)
    found = []
    for variant in VARIANTS:
        try:
            figure = (
                ours(letter, setting, variant, device, card)
                if variant in VARIANTS[:2]
                else rival(letter, setting, variant, device, card)
            )
        except (RuntimeError, MemoryError) as error:  # a rival that does not fit, or that torch cannot do
            figure = Figure(letter, precision, variant, None, why=str(error).splitlines()[0][:200])
        found.append(figure)
        seconds = f"{1000 * figure.seconds:9.1f} ms" if figure.seconds else figure.why
        print(f"{letter} {precision:<9}{variant:<15} {seconds}", *(figure.dearest[:6]), flush=True)
        release_memory()
    return found


def ours(letter: str, setting: Setting, variant: str, device: str, card: Card) -> Figure:
    """The trainer's epoch, with its share of the device and of the roofline."""
    config, graphs = setting.config, variant == "losolab" and device == "cuda"
    clips = plain.noise(config, setting.clips, setting.folds)
    folds, steps = loso(clips, 0), ceil(setting.clips / config.batch_size)
    reset()
    with products(config.precision):
        names = [(fold.seed, fold.held_out) for fold in folds]
        network, material = FoldedNetwork(config, CLASSES, names, device), Material(config, clips, folds, device)

        def epochs(number: int) -> float:
            return median_seconds(lambda: fit(network, material, replace(config, epochs=number), graphs), 3, device)

        # The first epoch of a training is not recorded, the second is: what more of them take.
        seconds = (epochs(8) - epochs(2)) / 6 if graphs else epochs(1)
        if variant != "losolab":
            return Figure(letter, config.precision, variant, seconds)
        kernels, busy, dearest = profiled(lambda: fit(network, material, config), device)
    multiplied = flops(config) * config.batch_size * setting.folds * steps / card.products[config.precision]
    copied = least_bytes(config, setting.folds) * steps / card.copied
    return Figure(
        *(letter, config.precision, variant, seconds, kernels / steps, busy / seconds),
        roofline=max(multiplied, copied) / seconds,
        peak=peak(device),
        estimate=(training_bytes(config, CLASSES, len(folds), device) + pixels(config) * setting.clips) / 2**20,
        dearest=tuple((name[:60], 1000 * spent / steps) for name, spent in dearest),
    )


def rival(letter: str, setting: Setting, variant: str, device: str, card: Card) -> Figure:
    """An epoch as it is usually written, from a few of the folds."""
    config, some = setting.config, 4 if variant == "vmap" or letter != "c" else 2
    clips = plain.noise(config, setting.clips, setting.folds)
    reset()
    with products(config.precision):
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
        work = plain.Work(config, clips, loso(clips, 0)[:some], device)
        epoch = plain.vmapped(work) if variant == "vmap" else plain.loop(work)
        seconds = median_seconds(epoch, 3, device) * setting.folds / some
    return Figure(letter, config.precision, variant, seconds, peak=peak(device))


def pixels(config: TrialConfig) -> int:
    return sum(prod(stream.input) for stream in geometry(config, CLASSES).streams)


def least_bytes(config: TrialConfig, folds: int) -> float:
    """Of a step: weights read in both directions, their gradients written and read, weights read and written again;
    of what is pooled its value and mask, written and read in both directions; the pixels twice. Not what lies between
    a convolution and its pooling."""
    layers = geometry(config, CLASSES).layers
    weights = 6 * 4 * folds * sum(layer.parameters for layer in layers)
    pooled = sum(layer.outputs for layer in layers if isinstance(layer, Block))
    return float(weights + config.batch_size * (folds * pooled * (6 * 4 + 2) + 2 * 4 * pixels(config)))


def measured(device: str) -> Card:
    """Rates of large products and of a large copy."""
    size, copied = (8192, 2**28) if device == "cuda" else (256, 2**20)
    rates = {}
    for precision in PRECISIONS:
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        with products(precision):
            rates[precision] = 1e9 * matrix_product_peak(dtype, size, device)
    x = torch.empty(copied, device=device)
    y = torch.empty_like(x)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    return Card(name, torch.__version__, rates, 2 * x.nbytes / median_seconds(lambda: y.copy_(x), device=device))


def profiled(work: Work, device: str) -> tuple[int, float, list[tuple[str, float]]]:
    """Kernels, their seconds, and the dearest; on a CPU torch's operators stand for them."""
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]) as seen:
        work()
        if device == "cuda":
            torch.cuda.synchronize()
    kind = torch.autograd.DeviceType.CUDA if device == "cuda" else torch.autograd.DeviceType.CPU
    rows = [row for row in seen.key_averages() if row.device_type == kind]
    spent = {
        row.key: (row.self_device_time_total if device == "cuda" else row.self_cpu_time_total) / 1e6 for row in rows
    }
    dearest = sorted(spent.items(), key=lambda item: -item[1])[:12]
    return sum(row.count for row in rows), sum(spent.values()), dearest


def reset() -> None:
    release_memory()
    reset_peak()


def peak(device: str) -> float | None:
    return peak_memory(device) if device == "cuda" else None


def table(card: Card, figures: Sequence[Figure]) -> str:
    """Markdown, a row for each setting and precision."""
    rates = ", ".join(f"{1e-12 * card.products[precision]:.0f} in {precision}" for precision in PRECISIONS)
    head = f"{card.name}, torch {card.torch}; {1e-9 * card.copied:.0f} GB/s copied; products, TFLOP/s: {rates}."
    lines = [head, "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    by = {(figure.setting, figure.precision, figure.variant): figure for figure in figures}
    for letter, precision in dict.fromkeys((figure.setting, figure.precision) for figure in figures):
        of = {variant: by[letter, precision, variant] for variant in VARIANTS}
        own = of["losolab"]
        cells = [letter, precision, "failed" if own.seconds is None else f"{1000 * own.seconds:.1f}"]
        for variant in VARIANTS[1:]:
            seconds = of[variant].seconds
            cells.append(f"{seconds / own.seconds:.2f}" if seconds and own.seconds else "-")
        cells += [written(own.kernels, "{:.0f}"), written(own.busy, "{:.0%}"), written(own.roofline, "{:.0%}")]
        cells += [
            written(own.peak, "{:,.0f}"),
            written(own.peak and own.estimate and own.peak / own.estimate, "{:.2f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def written(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def write(folder: Path, card: Card, checks: Sequence[gpu_checks.Check], figures: Sequence[Figure]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.md").write_text(table(card, figures) + "\n")
    content = {"card": asdict(card), "checks": checks, "figures": [asdict(figure) for figure in figures]}
    (folder / "gpu.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
