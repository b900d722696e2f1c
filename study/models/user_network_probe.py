"""What a user's own network turns out to be: tried on a few clips of noise, before anything starts."""

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from traceback import extract_tb

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.config import TrialConfig, deciding
from search_spaces.errors import UserError
from study.models.folded_network import DTYPES, Scaling
from study.models.user_network import Stacked, built, predicting, shapes

log = logging.getLogger("losolab")
_TORCH = Path(torch.__file__).parent
_CLIPS = 4
_FOLDS = [(0, "a"), (0, "b")]


@dataclass(frozen=True)
class Probe:
    """What a network takes, and how its folds can be trained."""

    parameters: int
    weights: int  # bytes of them
    multiply_adds: int  # of one clip's forward pass: convolutions and matrix products
    kept: int  # bytes that one clip's forward pass keeps for the backward pass
    alone: str | None  # why its folds are trained one by one; None where they can be stacked


def probe(config: TrialConfig, n_classes: int) -> Probe:
    """What a configuration's own network is. Raises UserError where it cannot be built, or gives no logits."""
    return _probe(_deciding(config), n_classes)


def _deciding(config: TrialConfig) -> TrialConfig:
    """What decides how a network is built: configurations that differ in their learning rate share one."""
    return TrialConfig(**{name: getattr(config, name) for name in deciding("network")})


@cache
def _probe(config: TrialConfig, n_classes: int) -> Probe:
    network, x = built(config, n_classes, _FOLDS[0]), _noise(config)
    weights = list(network.parameters())
    what = f"network {config.network!r}"
    if not any(weight.requires_grad for weight in weights):
        raise UserError(f"{what} has no weights to train")
    kept: dict[int, int] = {}

    def keep(saved: Tensor) -> Tensor:
        kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    try:
        with saved_tensors_hooks(keep, lambda saved: saved):
            logits = network(*x)
        with torch.no_grad(), predicting(network), FlopCounterMode(display=False) as counted:
            few, one = network(*(part[:2] for part in x)), network(*(part[:1] for part in x))
            again = network(*(part[:1] for part in x))
    except Exception as error:
        seen = ", ".join("x".join(map(str, part.shape)) for part in x)
        raise UserError(f"{what}, called with {seen}, raises {type(error).__name__}: {error}") from error
    if not isinstance(logits, Tensor) or logits.shape != (_CLIPS, n_classes) or not logits.is_floating_point():
        given = "x".join(map(str, logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"{what} gives {given} for {_CLIPS} clips; expected: logits {_CLIPS}x{n_classes}")
    if not (logits.isfinite().all() and few.isfinite().all()):
        raise UserError(f"{what} gives NaN or infinite logits before any training")
    if (few >= 0).all() and _same(few.sum(1), torch.ones_like(few[:, 0])):
        raise UserError(f"{what} gives probabilities; expected: logits, for the loss takes their softmax itself")
    if not (_same(one, again) and _same(few[:1], one)):
        raise UserError(f"{what} predicts a clip by chance, or by the clips beside it, in eval mode too")
    _refuse_where_one_clip_is_too_few(what, network, x)
    for weight in weights:
        kept.pop(weight.untyped_storage().data_ptr(), None)
    return Probe(
        parameters=sum(weight.numel() for weight in weights),
        weights=sum(weight.nbytes for weight in weights),
        multiply_adds=counted.get_total_flops() // 2 // 4,  # one multiply-add is two; of four clips in all
        kept=sum(kept.values()) // _CLIPS,
        alone=_alone(config, n_classes, network, x),
    )


def gpu_problem(config: TrialConfig, n_classes: int) -> str | None:
    """Why a network would fail on a GPU, with the line; None where nothing is known against it.

    Its forward pass is tried on fake tensors of a GPU, which need none.
    """
    return _gpu_problem(_deciding(config), n_classes)


@cache
def _gpu_problem(config: TrialConfig, n_classes: int) -> str | None:
    from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError  # 1 CPU-second that only this needs

    from study.models.fake_gpu import fake_gpu, moved

    network = built(config, n_classes, _FOLDS[0])
    try:
        with fake_gpu() as device, torch.no_grad():
            moved(network, device)(*(part.to(device) for part in _noise(config)))
    except FakeTensorDeviceMismatchError as error:
        frames = [frame for frame in extract_tb(error.__traceback__) if _TORCH not in Path(frame.filename).parents]
        return (
            f"network {config.network!r} would fail on a GPU, line {frames[-1].lineno} of {frames[-1].filename} "
            f"({frames[-1].line}): it computes with a tensor of the CPU; register_buffer keeps "
            "one that stays, device=x.device makes one where its input is"
        )
    except Exception as error:  # what fake tensors cannot do, a GPU can
        log.info("network %r could not be tried as on a GPU: %s", config.network, error)
    return None


def _refuse_where_one_clip_is_too_few(what: str, network: nn.Module, x: list[Tensor]) -> None:
    """A batch may leave a fold one clip to train on, which BatchNorm1d refuses: better now than in a late epoch."""
    try:
        with torch.no_grad():
            network(*(part[:1] for part in x))
    except Exception as error:
        raise UserError(
            f"{what} cannot train on one clip, all that a batch may leave of a fold: {type(error).__name__}: {error}; "
            "take GroupNorm or LayerNorm, or freeze BatchNorm by its .eval()"
        ) from error


def _alone(config: TrialConfig, n_classes: int, network: nn.Module, x: list[Tensor]) -> str | None:
    """Why the folds of a network cannot be stacked."""
    batch_norm = nn.modules.batchnorm._BatchNorm
    if mixing := [name for name, part in network.named_modules() if isinstance(part, batch_norm) and part.training]:
        return f"BatchNorm in training mode mixes the clips of a batch ({', '.join(mixing)}); freeze it by its .eval()"
    inputs = {region: part[:, 0] for region, part in zip(shapes(config), x, strict=True)}
    scaling = {region: Scaling(*torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=x[0].dtype)) for region in inputs}
    try:
        with torch.no_grad():
            stacked = Stacked(config, n_classes, _FOLDS)(inputs, scaling, 0)
    except Exception as error:
        if "random operation" in str(error):
            return "it draws random numbers in training (dropout), which would depend on the folds beside it"
        return f"torch.func cannot stack it: {str(error).splitlines()[0]}"
    with torch.no_grad():
        plain = [built(config, n_classes, fold)(*x) for fold in _FOLDS]
        fewer = built(config, n_classes, _FOLDS[0])(*(part[:2] for part in x))
    if not _same(stacked, torch.stack(plain)):
        return "torch.func gives other numbers for it"
    return None if _same(plain[0][:2], fewer) else "a layer mixes the clips of a batch in training"


def _noise(config: TrialConfig) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [
        torch.randn(_CLIPS, *shape, generator=draw).to(DTYPES[config.precision]) for shape in shapes(config).values()
    ]


def _same(a: Tensor, b: Tensor) -> bool:
    """But for rounding."""
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3 * float(a.abs().max()))
