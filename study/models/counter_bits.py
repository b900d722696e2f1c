"""Random bits by their counters, on the device that uses them: nothing is sent there, and no state is kept.

SplitMix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195): word i of a stream is a mix of its key and i, not of
what was drawn before, and integer arithmetic is the same on every device.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

_STEP = 0x9E3779B97F4A7C15
_MIXES = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST = 31


def keys(seeds: Iterable[int], device: torch.device) -> Tensor:
    """Seeds of 64 bits (`identity.stream`) as keys, int64 [n]."""
    return torch.tensor([_signed(seed) for seed in seeds], dtype=torch.int64).to(device)


def words(keys: Tensor, count: int, first: int = 0, since: Tensor | None = None) -> Tensor:
    """64 random bits for each of the counters `first`, `first + 1`, ... of every key's stream: int64 [keys, count].

    since: of this device, int64 [], what all counters begin after: a graph's steps read it anew at every replay.
    """
    counters = torch.arange(first + 1, first + 1 + count, device=keys.device)
    counters = (counters if since is None else counters.add_(since)).mul_(_signed(_STEP))
    mixed = keys[:, None] + counters
    for shift, factor in _MIXES:
        mixed = _folded(mixed, shift).mul_(_signed(factor))
    return _folded(mixed, _LAST)


def keep(keys: Tensor, count: int, share: float, first: int = 0, since: Tensor | None = None) -> Tensor:
    """Which of 4 x count units masks keep, bool [keys, 4 x count]: a share of them, to the nearest 1/65536; below 1."""
    return words(keys, count, first, since).view(torch.int16) < round(share * 65536) - 32768


def uniform(key: Tensor, count: int) -> Tensor:
    """Numbers uniform in [-1, 1), multiples of 2^-23, of one key's stream: float32 [count]."""
    return (words(key[None], (count + 1) // 2).view(torch.int32) >> 8)[0, :count].to(torch.float32).mul_(2**-23)


def _folded(x: Tensor, shift: int) -> Tensor:
    """x ^ (x >> shift) of whole numbers without a sign, which torch's shift gives them."""
    return x.bitwise_xor_((x >> shift).bitwise_and_((1 << 64 - shift) - 1))


def _signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x
