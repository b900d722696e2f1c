"""A user's own network: F folds of it stacked and trained as one by torch.func, or one fold by itself.

A factory takes what a clip is, {region: (channels, frames, height, width)}, and the number of classes, and returns an
nn.Module that takes one tensor [B, channels, frames, height, width] a region, in that order, scaled by its fold, and
gives logits [B, classes]. Its initial weights and its dropout may draw from torch's generator, which is seeded by
(seed, fold) before the factory is called and by (seed, fold, step) before each training step.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.parameter import is_lazy

from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from search_spaces.errors import UserError
from search_spaces.network_inputs import side, streams
from study.models.folded_network import DTYPES, Scaling
from study.system import dotted_path

Shapes = dict[str, tuple[int, int, int, int]]
Name = tuple[int, str]  # of a fold: seed, held-out subject


def shapes(config: TrialConfig) -> Shapes:
    """What a network is given of a clip: of each region (channels, frames, height, width)."""
    sides = {region: side(config, region) for region in streams(config)}
    return {region: (1, config.frames, size, size) for region, size in sides.items()}


class Alone(nn.Module):
    """One fold's network by itself: dropout and what else draws random numbers is free, and so are BatchNorm's rows."""

    def __init__(self, config: TrialConfig, n_classes: int, fold: Name) -> None:
        super().__init__()
        self.fold, self.network = fold, built(config, n_classes, fold)

    def forward(self, inputs: dict[str, Tensor], scaling: dict[str, Scaling], step: int | None) -> Tensor:
        """Logits [1, B, classes] of B clips, each region's pixels [B, T, side, side]; no step: of a prediction."""
        x = [_scaled(inputs[region], *scaling[region]) for region in inputs]
        if step is None:
            with predicting(self.network):
                return self.network(*x)[None]
        torch.manual_seed(stream("dropout", *self.fold, "network", step))
        return self.network(*x)[None]


class Stacked(nn.Module):
    """The networks of several folds, their weights stacked [F, ...], and mapped over."""

    def __init__(self, config: TrialConfig, n_classes: int, folds: Sequence[Name]) -> None:
        super().__init__()
        networks = [built(config, n_classes, fold) for fold in folds]
        weights, buffers = stack_module_state(networks)
        self.names = list(weights), list(buffers)
        own = [nn.Parameter(w.detach(), requires_grad=w.requires_grad) for w in weights.values()]
        self.weights = nn.ParameterList(own)
        for number, buffer in enumerate(buffers.values()):
            self.register_buffer(f"buffer{number}", buffer)
        self.template = (networks[0],)  # a tuple hides its weights from nn.Module

    def forward(self, inputs: dict[str, Tensor], scaling: dict[str, Scaling], step: int | None) -> Tensor:
        """Logits [F, B, classes], as Alone's."""
        weights = dict(zip(self.names[0], self.weights, strict=True))
        buffers = dict(zip(self.names[1], self.buffers(), strict=True))
        (network,) = self.template

        def one(weights: dict[str, Tensor], buffers: dict[str, Tensor], scaling: dict[str, Scaling]) -> Tensor:
            x = tuple(_scaled(inputs[region], *scaling[region]) for region in inputs)
            return functional_call(network, (weights, buffers), x)

        mapped = vmap(one, randomness="error")
        if step is None:
            with predicting(network):
                return mapped(weights, buffers, scaling)
        return mapped(weights, buffers, scaling)


def built(config: TrialConfig, n_classes: int, fold: Name) -> nn.Module:
    """A fold's network with its initial weights. Raises UserError where the factory gives none."""
    factory, given = dotted_path.found("network", config.network), shapes(config)
    asked = f"network {config.network!r}, asked for {_words(given)} and {n_classes} classes"
    torch.manual_seed(stream("weights", *fold, "network"))
    try:
        network = factory(given, n_classes)
        if isinstance(network, nn.Module) and any(is_lazy(weight) for weight in network.parameters()):
            with torch.no_grad(), predicting(network):
                network(*(torch.zeros(1, *shape) for shape in given.values()))
    except Exception as error:
        raise UserError(f"{asked}, raises {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{asked}, returns {type(network).__name__}; expected: a torch.nn.Module")
    return network.to(DTYPES[config.precision])


@contextmanager
def predicting(network: nn.Module) -> Iterator[None]:
    """The network in eval mode; then each layer in its own mode again, so that frozen layers stay frozen."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _scaled(x: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return ((x - mean) / scale)[:, None]


def _words(given: Shapes) -> str:
    return ", ".join(f"{region} {'x'.join(map(str, shape))}" for region, shape in given.items())
