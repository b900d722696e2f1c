"""Networks as a user would write them, for the checks on a GPU: one whose folds stack, and one whose do not."""

from math import prod

from torch import nn


def stacked(inputs: dict[str, tuple[int, ...]], classes: int) -> nn.Module:
    """Two convolutions and adaptive averages, whose gradient torch lists as nondeterministic on a GPU."""
    return nn.Sequential(
        *(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Conv3d(4, 8, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool3d(2), nn.Flatten(), nn.Linear(8 * 8, classes)),
    )


def alone(inputs: dict[str, tuple[int, ...]], classes: int) -> nn.Module:
    """Dropout, which draws random numbers of its own: its folds are trained one by one."""
    (shape, *_) = inputs.values()
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, classes))
