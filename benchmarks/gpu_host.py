"""What the CPU does for a step on a GPU: measured on torch's `meta` device, whose tensors have no values.

Printed for each setting, with 16 folds as one network: CPU-milliseconds of a step in losolab's own draws, indexing and
copies (all of the step's, less what torch's profiler counts as operators), operators, and bytes sent to the device.
"""

import time
from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import plain
from benchmarks.loso_epoch import CLASSES, SETTINGS
from study.models.folded_network import FoldedNetwork
from study.training.protocol import loso
from study.training.train import Material, fit

FOLDS, EPOCHS = 16, 5
_OWN = ("ProductConvolution", "LaterConvolution", "_Masked", "_Product")  # our functions are operators, too


def main(settings: str) -> None:
    """A line for each setting."""
    for name in ("_fused_sgd_", "_fused_sgd_.tensor_lr"):  # torch has no kernel of it without values
        torch.library.register_fake(f"aten::{name}", lambda *weights, **options: None)
    for letter in settings:
        own, operators, copied = of_step(letter)
        print(f"{letter}: {own:.2f} CPU-ms a step of its own, {operators:.0f} operators, {copied:,.0f} bytes sent")


def of_step(letter: str) -> tuple[float, float, float]:
    """CPU-milliseconds of a step that are not torch's, operators, bytes sent."""
    setting = SETTINGS[letter]
    config = replace(setting.config, epochs=EPOCHS)
    clips = plain.noise(config, setting.clips, FOLDS)
    folds = loso(clips, 0)
    network = FoldedNetwork(config, CLASSES, [(fold.seed, fold.held_out) for fold in folds], "meta")
    material = Material(config, clips, folds, "meta")
    steps = EPOCHS * -(-setting.clips // config.batch_size)
    fit(network, material, replace(config, epochs=1))
    with Counted() as counted:
        fit(network, material, config)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        began = time.process_time()
        fit(network, material, config)
        spent = time.process_time() - began
    torchs = sum(row.self_cpu_time_total for row in seen.key_averages() if not row.key.startswith(_OWN)) / 1e6
    return 1000 * (spent - torchs) / steps, counted.operators.total() / steps, counted.copied / steps


class Counted(TorchDispatchMode):
    """Operators by name, and bytes of what is copied from the CPU to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: Counter[str] = Counter()
        self.copied = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = operation(*args, **(kwargs or {}))
        self.operators[operation.overloadpacket.__name__] += 1
        if isinstance(out, Tensor) and args and isinstance(args[0], Tensor):
            self.copied += out.nbytes * (args[0].device.type == "cpu" != out.device.type)
        return out
