"""How long training takes here: a few real steps on noise, of configurations that no ledger has timed."""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from search_spaces.config import FACTORS, TrialConfig, deciding
from search_spaces.errors import UserError
from search_spaces.network_inputs import master, streams
from search_spaces.spec import Resources
from study.data.clips import Clips
from study.models.sizes import training_bytes
from study.planning.cost_model import Costs, Size, Work, computed
from study.system.memory import peak_memory, reset_peak
from study.training.protocol import loso
from study.trials.trial import arithmetic_on, device_here, predicted, prepare_process

BUDGET = 0.2  # seconds for all of it, torch's import apart; 3 s moved the default plan no more than repeating it does
_EPOCHS = 2
_STEPS = 20  # of one fold, about as many as a class takes: a group's, in four epochs of one batch or a few


def measure(costs: Costs, folds: Mapping[Work, float], resources: Resources) -> int:
    """Time a few steps of cost classes that were not timed, the dearest in all first, until the budget is spent.

    Returns how many there were. folds: planned, of one of each class. resources: with their `gpu` known.
    """
    classes = [work for work in folds if not costs.timed(work) and work.steps]
    if not classes:
        return 0
    prepare_process(resources)
    seconds_of_a_fold(min(classes, key=computed), resources)  # what only the first training of a process does
    ends, measured = time.perf_counter() + BUDGET, 0
    for work in sorted(classes, key=lambda work: -folds[work] * computed(work)):
        if not measured or time.perf_counter() + _STEPS * costs.seconds(work) / work.steps < ends:
            costs.add(work, seconds_of_a_fold(work, resources))
            measured += 1
    return measured


def seconds_of_a_fold(work: Work, resources: Resources) -> float:
    """Of a whole fold in its group, from what two epochs more take on as few clips as have all subjects."""
    config = _plain(work.config)
    clips = _noise(config, work.size)
    arithmetic = arithmetic_on(device_here(resources), config, clips, resources, work.size.folds(config))
    folds = loso(clips, 0)[: arithmetic.group]

    def seconds(epochs: int) -> float:
        began = time.perf_counter()
        predicted(dataclasses.replace(config, epochs=epochs), clips, folds, "cuda" if resources.gpu else "cpu")
        return time.perf_counter() - began

    once = seconds(1)
    epoch = max(0.0, seconds(1 + _EPOCHS) - once) / _EPOCHS
    step, beside = epoch / ceil(len(clips) / config.batch_size), max(0.0, once - epoch)
    return (step * work.steps + beside) / len(folds)


@dataclass(frozen=True)
class Tried:
    """What two steps of training took on this process's GPU; memory in MiB. problem: why there were none."""

    folds: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    expected: float = 0.0
    problem: str = ""


def tried(config: TrialConfig, resources: Resources) -> Tried:
    """Two steps of a configuration, in the group of folds that twelve subjects make; on a GPU that must be there."""
    size, config = Size(12, 12, 3), dataclasses.replace(_plain(config), epochs=2)
    try:
        prepare_process(resources)
        clips = _noise(config, size)
        group = arithmetic_on(device_here(resources), config, clips, resources, size.subjects).group
        reset_peak()
        began = time.perf_counter()
        predicted(config, clips, loso(clips, 0)[:group], "cuda")
    except (RuntimeError, UserError) as error:
        return Tried(problem=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    expected = training_bytes(config, size.classes, group, "cuda") / 2**20
    return Tried(group, time.perf_counter() - began, peak_memory("cuda"), expected)


def _plain(config: TrialConfig) -> TrialConfig:
    """What trains in the same time, with all else at its default, in steps too small to diverge on noise.

    The momentum stays, for Nesterov's needs one.
    """
    same = {name: getattr(config, name) for name in (*deciding("time"), "momentum")}
    return TrialConfig(**same, learning_rate=FACTORS["learning_rate"].metadata["low"])


def _noise(config: TrialConfig, size: Size) -> Clips:
    """Enough clips for a batch and for a clip a subject."""
    count, draw = max(config.batch_size, size.subjects), np.random.default_rng(0)
    pixels = {
        master(config, region): draw.integers(0, 256, (config.frames, config.crop, config.crop), dtype=np.uint8)
        for region in streams(config)
    }
    return Clips(
        ids=np.array([f"clip{i}" for i in range(count)]),
        subjects=np.array([f"subject{i % size.subjects}" for i in range(count)]),
        labels=draw.integers(0, size.classes, count),
        classes=tuple(map(str, range(size.classes))),
        first=np.zeros(count, np.int64),
        frames=np.full(count, config.frames),
        apex=np.full(count, -1),
        fps=np.full(count, np.nan),
        pixels=pixels,
        digests={"index": "noise"},
    )
