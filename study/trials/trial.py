"""A trial: a configuration with its seeds, one unit on one device. `run_trial` is what every executor runs."""

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from search_spaces.config import CLASSICAL, TrialConfig
from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.data.clips import ClipNames, Clips
from study.models.sizes import fold_group, trial_bytes
from study.system.memory import broke, peak_memory, ran_out, release_memory, reset_peak, tune_malloc
from study.training.protocol import Fold, folds
from study.trials.fold_identity import Arithmetic, fold_key
from study.trials.subject_order import Course, Opponent


@dataclass(frozen=True)
class Trial:
    """`number` is its place in the ledger; `arm` is None for a proposal of a search; only that may have an opponent.

    parts: only the first so many of what its protocol holds out are, those that choose (None: all).
    """

    number: int
    stage: str
    arm: str | None
    config: TrialConfig
    seeds: tuple[int, ...]
    opponent: Opponent | None = field(default=None, repr=False, compare=False)
    parts: int | None = None

    @property
    def competes(self) -> bool:
        """Whether it may be the best: no control, no repetition of the baseline, and scored by new subjects."""
        return self.arm != "null" and self.config.control == "none" and self.config.of_new_subjects


@dataclass(frozen=True)
class FoldResult:
    """A finished fold. `predictions` is JSON: [[clip_id, y_true, y_pred, [probability of each class]], ...]."""

    key: str
    arithmetic: Arithmetic
    configuration: str
    seed: int
    held_out: str
    predictions: str
    seconds: float
    peak_memory: float  # MiB, of the process since the trial began
    node: str


@dataclass(frozen=True)
class Done:
    """A fold that the ledger has: what made it (None: it does not matter), and its rows as FoldResult has them."""

    arithmetic: Arithmetic | None
    predictions: str


class MixedArithmetic(UserError):
    """The ledger's folds of this trial were made by another arithmetic than the one at hand."""


class OutOfMemory(MemoryError):
    """A trial for which memory did not suffice; the message says what it needs and what to declare."""


class BrokenProcess(RuntimeError):
    """A GPU's error that is not want of memory: this process has to end, its trial goes to another."""


def trial_keys(trial: Trial, clips: ClipNames) -> list[str]:
    """Keys of all folds of a trial, in the order in which it trains them."""
    of_seeds = [folds(clips, trial.config.protocol, seed)[: trial.parts] for seed in trial.seeds]
    return [fold_key(trial.config, clips, fold) for own in of_seeds for fold in own]


def run_trial(trial: Trial, clips: Clips, done: Mapping[str, Done], resources: Resources) -> Iterator[list[FoldResult]]:
    """Train the folds that are not `done` (by key), and yield each group of folds as it ends.

    Groups are cut by position in the order of the folds, done or not, and a group that is not wholly done is trained
    whole: a resumed trial repeats the same arithmetic. A trial with an opponent takes the folds in blocks, all seeds
    of them, and stops after the block in which it is hopeless. Raises MixedArithmetic where done folds were made by
    another; a fold done by None counts, whatever made it.
    """
    release_memory()
    reset_peak()
    course, found = Course.of(clips, trial.config.protocol, trial.parts), dict[tuple[int, str], str]()
    arithmetic = arithmetic_of(trial, device_here(resources), clips, resources)
    for block in course.blocks(trial.opponent):
        for group in _groups(trial, clips, block, arithmetic.group):
            keys = [fold_key(trial.config, clips, fold) for fold in group]
            rows = _rows_of(keys, done, arithmetic)
            if not rows:
                yield (trained := _train(trial.config, clips, group, keys, arithmetic, resources.graphs))
                kept = {key: fold.predictions for key, fold in done.items()}  # what the ledger judges by
                rows = [kept.get(fold.key, fold.predictions) for fold in trained]
            found |= {(fold.seed, fold.held_out): own for fold, own in zip(group, rows, strict=True)}
        if trial.opponent and course.stop(trial.opponent, trial.seeds, found):
            return


def _groups(trial: Trial, clips: Clips, block: range, size: int) -> Iterator[list[Fold]]:
    """The folds of a block, seed after seed, `size` at a time."""
    for seed in trial.seeds:
        own = folds(clips, trial.config.protocol, seed)[block.start : block.stop]
        yield from (own[start : start + size] for start in range(0, len(own), size))


def _rows_of(keys: list[str], done: Mapping[str, Done], arithmetic: Arithmetic) -> list[str]:
    """The predictions of a group that is wholly done, else none."""
    there = [done[key] for key in keys if key in done]
    if others := {fold.arithmetic for fold in there} - {arithmetic, None}:
        raise MixedArithmetic(
            f"folds in the ledger were made by {others.pop()}, this process has {arithmetic}: their last digits "
            "differ. Run it where it began, rename the study, or go on with --mixed, which marks it"
        )
    return [fold.predictions for fold in there] if len(there) == len(keys) else []


def _train(
    config: TrialConfig, clips: Clips, group: list[Fold], keys: list[str], arithmetic: Arithmetic, graphs: bool
) -> list[FoldResult]:
    began, device = time.perf_counter(), "cpu" if arithmetic.device == "cpu" else "cuda"
    try:
        probabilities = predicted(config, clips, group, device, graphs)
    except (MemoryError, RuntimeError) as error:
        if ran_out(error):
            raise OutOfMemory(_needs(config, clips, arithmetic.group, device)) from None
        if broke(error):
            raise BrokenProcess(f"{platform.node()}: {str(error).splitlines()[0]}") from error
        raise
    seconds = (time.perf_counter() - began) / len(group)
    return [
        FoldResult(
            key=key,
            arithmetic=arithmetic,
            configuration=config.key(),
            seed=fold.seed,
            held_out=fold.held_out,
            predictions=_rows(clips, fold, rows),
            seconds=seconds,
            peak_memory=peak_memory(device),
            node=platform.node(),
        )
        for key, fold, rows in zip(keys, group, probabilities, strict=True)
    ]


def predicted(
    config: TrialConfig, clips: Clips, group: Sequence[Fold], device: str, graphs: bool = False
) -> list[npt.NDArray[np.float64]]:
    """Train a group of folds; the probabilities of each fold's held-out clips, [n_test, C]."""
    if config.network in CLASSICAL:
        from study.classical import predict  # scikit-learn, for those that have such an arm

        return predict.predict(config, clips, group)
    from study.training.train import train  # torch: 1.3 CPU-seconds that only a process that trains pays

    return train(config, clips, group, device, graphs and device == "cuda")


def _needs(config: TrialConfig, clips: Clips, group: int, device: str) -> str:
    several, one = (trial_bytes(config, len(clips.classes), n, len(clips), device) / 2**30 for n in (group, 1))
    of_card = "" if device == "cpu" else " of the card"
    if group > 1:
        return (
            f"out of memory: this trial takes about {several:.1f} GiB{of_card} with {group} folds as one network, "
            f"{one:.1f} with one; declare less in resources.memory than that, and fewer folds are trained as one"
        )
    more = "declare that in resources.memory, so that no more trials share a machine than it holds"
    if device != "cpu":
        more = "give it a larger share in resources.gpu"
    return (
        f"out of memory: this trial takes about {one:.1f} GiB{of_card} with one fold; {more}, or take a smaller "
        "batch_size, hidden, filters or crop"
    )


@dataclass(frozen=True)
class Device:
    """What a process trains on: cpu or the GPU's name, its capability, and a GPU's whole memory in bytes."""

    name: str
    capability: str
    memory: int | None
    torch: str


def device_here(resources: Resources) -> Device:
    """This process's. Raises UserError where a GPU was asked for and none is there."""
    import torch

    if not resources.gpu:
        return Device("cpu", torch.backends.cpu.get_cpu_capability(), None, torch.__version__)
    if not (gpus := gpus_here()):
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built for a CPU"
        raise UserError(
            f"resources.gpu: {resources.gpu:g} was asked for, and on {platform.node()} torch {torch.__version__} "
            f"{built} and sees no GPU; install the build for its CUDA there, or give gpu=0"
        )
    return gpus[0]


def gpus_here() -> tuple[Device, ...]:
    """The GPUs that torch sees."""
    import torch

    from study.models import gpu

    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    summed = ", Triton" if found and gpu.sums() else ""  # or products take its place, with other last digits
    return tuple(
        Device(card.name, f"{card.major}.{card.minor}{summed}", card.total_memory, torch.__version__) for card in found
    )


def arithmetic_of(trial: Trial, device: Device, clips: ClipNames, resources: Resources) -> Arithmetic:
    """A trial's arithmetic. The fold group follows from declared memory, never free, and from the folds of a block."""
    block = Course.of(clips, trial.config.protocol, trial.parts).blocks(trial.opponent)[0]
    return arithmetic_on(device, trial.config, clips, resources, len(block))


def arithmetic_on(
    device: Device, config: TrialConfig, clips: ClipNames, resources: Resources, n_folds: int
) -> Arithmetic:
    """A configuration's arithmetic where so many folds are trained between two judgements."""
    kind = "cpu" if device.memory is None else "cuda"
    memory = resources.host_memory if device.memory is None else resources.card_memory(device.memory)
    group = fold_group(config, len(clips.classes), memory, kind, n_folds)
    precision, libraries = config.precision, ""
    if config.network in CLASSICAL:
        from study.classical.predict import libraries as those

        precision, libraries = "float64", those(config)
    return Arithmetic(device.name, device.capability, resources.threads, device.torch, precision, group, libraries)


def prepare_process(resources: Resources) -> None:
    """What a process that trains does once, before its first trial."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on a GPU
    tune_malloc()
    import torch

    torch.set_num_threads(resources.threads)
    if resources.gpu and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(resources.gpu)  # the rest of the card is other trials'


def _rows(clips: Clips, fold: Fold, probabilities) -> str:  # type: ignore[no-untyped-def]
    truth = clips.labels[fold.test]
    rows = zip(clips.ids[fold.test].tolist(), truth.tolist(), probabilities.tolist(), strict=True)
    named = [[i, clips.classes[t], clips.classes[max(range(len(p)), key=p.__getitem__)], p] for i, t, p in rows]
    return json.dumps(named, separators=(",", ":"))
