"""A configuration's network by arithmetic alone: shapes, parameters, multiply-adds, memory. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from search_spaces.config import BLOCKS, TrialConfig
from search_spaces.errors import UserError
from search_spaces.network_inputs import side, streams

Shape = tuple[int, int, int]  # frames, height, width

POOL = 3  # of the first block, on every axis (arXiv 1904.01390)
CPU_FOLDS = 4  # larger groups gain nothing on a CPU and take more memory
# Values of a convolution's result that are computed at a time: on a CPU they stay in its cache.
PART, PART_ON_GPU = 3 * 2**18, 2**28
AT_ONCE = 2**25  # dropout units whose masks a GPU draws in one call, for as many steps ahead as that covers
DOUBLE = 2**16  # smaller for float64 on a CPU: torch's im2col copies each input value up to hundreds of times
INTERPRETER = 300 * 2**20  # bytes of a process that trains, before it does


class Infeasible(UserError):
    """A configuration whose tensors would shrink to nothing. Each problem begins with the factor's name."""


@dataclass(frozen=True)
class Block:
    """Convolution (its result has shape `convolved`), max-pool (`shape`), bias, ReLU, dropout."""

    name: str
    inputs: int
    filters: int
    kernel: Shape
    padding: int  # zeros on every side, so that the result has the input's size; 0 in the first block
    convolved: Shape
    pool: Shape
    shape: Shape

    @property
    def parameters(self) -> int:
        return self.filters * (self.inputs * prod(self.kernel) + 1)

    @property
    def outputs(self) -> int:
        """Values of a clip after pooling."""
        return prod(self.shape) * self.filters

    @property
    def computed(self) -> Shape:
        """Positions of the convolution that the pooling keeps; the others need not be computed."""
        frames, height, width = (size * pool for size, pool in zip(self.shape, self.pool, strict=True))
        return frames, height, width

    @property
    def multiply_adds(self) -> int:
        return prod(self.computed) * self.filters * self.inputs * prod(self.kernel)


@dataclass(frozen=True)
class Dense:
    """A dense layer."""

    name: str
    inputs: int
    units: int

    @property
    def parameters(self) -> int:
        return (self.inputs + 1) * self.units

    @property
    def outputs(self) -> int:
        return self.units

    @property
    def multiply_adds(self) -> int:
        return self.inputs * self.units


@dataclass(frozen=True)
class Stream:
    """A region's path through the network: blocks, then (late fusion only) dense layers of its own."""

    region: str
    input: Shape
    blocks: tuple[Block, ...]
    features: int
    dense: tuple[Dense, ...]


@dataclass(frozen=True)
class Geometry:
    """The layers of a network: its streams, and the dense layers that all of them share."""

    streams: tuple[Stream, ...]
    dense: tuple[Dense, ...]

    @property
    def layers(self) -> list[Block | Dense]:
        """Every layer with parameters, in the order of the forward pass."""
        layers: list[Block | Dense] = []
        for stream in self.streams:
            layers += [*stream.blocks, *stream.dense]
        return [*layers, *self.dense]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of one clip's forward pass."""
        return sum(layer.multiply_adds for layer in self.layers)


def geometry(config: TrialConfig, n_classes: int) -> Geometry:
    """The layers of a configuration's network. Raises Infeasible: every problem, its factor and what would fit."""
    if problems := infeasible(config):
        raise Infeasible(problems)
    late = config.fusion == "late"
    parts = tuple(_stream(config, region, late) for region in streams(config))
    joined = sum(part.dense[-1].units if late else part.features for part in parts)
    units = {"none": (config.hidden,), "intermediate": (8 * config.hidden, config.hidden), "late": ()}[config.fusion]
    return Geometry(parts, _dense("", joined, (*units, n_classes)))


def infeasible(config: TrialConfig) -> list[str]:
    """Every reason why the first block does not fit in its input; later blocks fit in whatever is left.

    A user's own network is tried by models.probe.
    """
    if config.network != BLOCKS:
        return []
    problems = _misfit("kernel_time", config.kernel_time, "frames", config.frames, "frames", step=1)
    sides = {side(config, region): region for region in streams(config)}
    smallest = min(sides)
    where = "crop" if smallest == config.crop else f"{sides[smallest]} of crop"
    return problems + _misfit("kernel_space", config.kernel_space, where, smallest, "pixels", step=2)


def training_bytes(config: TrialConfig, n_classes: int, folds: int, device: str = "cpu") -> int:
    """Estimate of the bytes that training `folds` folds as one network takes at its peak, beside interpreter and clips.

    That is in the backward pass of the dense layers: all weights, their gradients and what the optimiser keeps; of
    every unit after pooling its value, the mask and the place of the maximum; gradients of the largest; pixels twice.
    Half of the largest gradient is for the gaps that malloc leaves. Measured: .83 to 1.13 times as much.
    """
    if device != "cpu":
        return _bytes_on_gpu(config, n_classes, folds)
    network = geometry(config, n_classes)
    value = 8 if config.precision == "float64" else 4
    blocks = [block for stream in network.streams for block in stream.blocks]
    pixels = sum(prod(stream.input) for stream in network.streams)
    pooled = [block.outputs for block in blocks]
    units = sum(layer.units for layer in network.layers if isinstance(layer, Dense))
    clip = pixels * (2 * value + 1) + folds * (sum(pooled) * (2 * value + 4) + (4 * max(pooled) + 6 * units) * value)
    working = 3 * max(_part_values(block, folds, device, value) for block in blocks)
    weights = network.parameters * (2 + _kept(config)) + max(layer.parameters for layer in network.layers) // 2
    return (folds * weights + working) * value + config.batch_size * clip


def _bytes_on_gpu(config: TrialConfig, n_classes: int, folds: int) -> int:
    """The same of a GPU, whose optimisers make nothing in a step.

    All weights, their gradients and what the optimiser keeps; what every kernel meets; of every unit after pooling its
    value, gradient, mask and the place of the maximum; of the largest part what a convolution gives, in a later block
    with its gradient and its input; masks as they are drawn.
    """
    network = geometry(config, n_classes)
    value, multiplied = (8, 8) if config.precision == "float64" else (4, 2 if config.precision == "bfloat16" else 4)
    blocks = [block for stream in network.streams for block in stream.blocks]
    firsts, pooled = [stream.blocks[0] for stream in network.streams], sum(block.outputs for block in blocks)
    met = sum(prod(block.computed) * (-(-prod(block.kernel) // 8) * 8) for block in firsts)
    units = pooled + sum(layer.units for layer in network.layers if isinstance(layer, Dense))
    kept = 2 if config.optimiser == "adamw" else int(config.momentum > 0)
    working = max(_gpu_part(block, folds, config.batch_size) * (3 if block.padding else 1) for block in blocks)
    clips = config.batch_size * (met * multiplied + folds * (pooled * (3 * value + 9) + units * value))
    drawn = 7 * max(AT_ONCE, folds * config.batch_size * units)
    return folds * network.parameters * (2 + kept) * value + clips + working * multiplied + drawn


def _gpu_part(block: Block, folds: int, clips: int) -> int:
    """Values of a convolution's result that a GPU computes at a time."""
    several, frames = part_size(block, folds, "cuda", 4)
    positions = (block.convolved[0] if block.padding else frames * block.pool[0]) * prod(block.computed[1:])
    return min(several, clips) * positions * block.filters * folds


def _kept(config: TrialConfig) -> int:
    """Values that an optimiser keeps of every weight, and makes in a step."""
    if config.optimiser == "adamw":
        return 3
    return int(config.momentum > 0) + int(config.weight_decay > 0)


def _part_values(block: Block, folds: int, device: str, size: int) -> int:
    """Values of a convolution's result, and in float64 of its unfolded input, that are computed at a time."""
    at_once = folds_at_once(block, folds, device)
    frames = max(part_frames(block, at_once, device, size), block.shape[0] if block.padding else 1)
    positions = frames * block.pool[0] * prod(block.computed[1:])
    return positions * (block.filters * at_once + (block.inputs * prod(block.kernel) if size == 8 else 0))


def folds_at_once(block: Block, folds: int, device: str) -> int:
    """Folds of a group in one convolution: all on a GPU; on a CPU one after another, narrow ones up to 32 filters."""
    return folds if device != "cpu" else min(folds, max(1, 32 // block.filters))


def part_frames(block: Block, folds: int, device: str, size: int) -> int:
    """Frames after pooling, of one clip or several, that are computed at a time; values have `size` bytes."""
    most = PART_ON_GPU if device != "cpu" else DOUBLE if size == 8 else PART
    return max(1, most // (block.pool[0] * prod(block.computed[1:]) * block.filters * folds))


def part_size(block: Block, folds: int, device: str, size: int) -> tuple[int, int]:
    """Clips, and frames after pooling of each, that are computed at a time; with padding a clip is not cut."""
    frames = part_frames(block, folds_at_once(block, folds, device), device, size)
    return max(1, frames // block.shape[0]), block.shape[0] if block.padding else min(frames, block.shape[0])


def fold_group(config: TrialConfig, n_classes: int, memory_bytes: int, device: str, n_folds: int) -> int:
    """How many of a trial's folds to train as one network: what fits in the declared memory, at most 4 on a CPU.

    Beside an interpreter, whatever the number of clips. Evened out, so that the last group is not left with a rest
    (5 folds in groups of at most 4: 3 and 2).
    """
    most = min(n_folds, CPU_FOLDS) if device == "cpu" else n_folds
    free = memory_bytes - INTERPRETER
    fitting = [size for size in range(1, most + 1) if training_bytes(config, n_classes, size, device) <= free]
    groups = -(-n_folds // max(fitting, default=1))
    return -(-n_folds // groups)


def _misfit(factor: str, kernel: int, where: str, size: int, unit: str, step: int) -> list[str]:
    most = size - POOL + 1
    if kernel <= most:
        return []
    if most < 1:
        return [f"{where.split()[-1]}: {size} {unit} of a stream are too few for the first block; at least {POOL}"]
    most -= (most - 1) % step
    return [f"{factor}: {kernel} {unit} do not fit in {where}: {size} {unit} (pooling needs {POOL}); at most {most}"]


def _stream(config: TrialConfig, region: str, late: bool) -> Stream:
    size = (config.frames, side(config, region), side(config, region))
    blocks = [_first_block(config, region, size)]
    for number in range(2, config.depth + 1):
        blocks.append(_later_block(f"{region}.block{number}", blocks[-1]))
    last = blocks[-1]
    features = last.filters * (config.grid**3 if config.head == "pool" else prod(last.shape))
    dense = _dense(f"{region}.", features, (8 * config.hidden, config.hidden)) if late else ()
    return Stream(region, size, tuple(blocks), features, dense)


def _first_block(config: TrialConfig, region: str, size: Shape) -> Block:
    """The paper's block: valid convolution, pooled by 3."""
    kernel = (config.kernel_time, config.kernel_space, config.kernel_space)
    frames, height, width = (axis - length + 1 for axis, length in zip(size, kernel, strict=True))
    shape = (frames // POOL, height // POOL, width // POOL)
    return Block(f"{region}.block1", 1, config.filters, kernel, 0, (frames, height, width), (POOL, POOL, POOL), shape)


def _later_block(name: str, before: Block) -> Block:
    """3x3x3 'same' convolution with twice the filters, pooled by 2 on every axis that has at least 4."""
    frames, height, width = (2 if axis >= 4 else 1 for axis in before.shape)
    shape = (before.shape[0] // frames, before.shape[1] // height, before.shape[2] // width)
    return Block(name, before.filters, 2 * before.filters, (3, 3, 3), 1, before.shape, (frames, height, width), shape)


def _dense(prefix: str, inputs: int, units: Sequence[int]) -> tuple[Dense, ...]:
    sizes = [inputs, *units]
    return tuple(Dense(f"{prefix}dense{i}", sizes[i - 1], sizes[i]) for i in range(1, len(sizes)))
