"""Random numbers that are the same on every machine: raw Philox bits (torch.randn differs with the instruction set)."""

from math import prod

import numpy as np
import numpy.typing as npt


def uniform(seed: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Uniform numbers in [-1, 1), multiples of 2^-23, from the stream with this seed (`identity.stream`)."""
    words = np.random.Philox(key=seed).random_raw(prod(shape) // 2 + 1).view(np.uint32)[: prod(shape)]
    words >>= 8
    numbers = words.astype(np.float32)
    numbers *= np.float32(2**-23)
    numbers -= np.float32(1)
    return numbers.reshape(shape)


def keep(seed: int, step: int, share: float, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which units a mask keeps at a step of the stream with this seed: a share of them, to the nearest 1/65536."""
    philox = np.random.Philox(key=seed, counter=[0, step, 0, 0])
    words = philox.random_raw(prod(shape) // 4 + 1).view(np.uint16)[: prod(shape)]
    return (words < round(share * 65536)).reshape(shape)


def permutation(seed: int, count: int) -> npt.NDArray[np.int64]:
    """A permutation of 0 .. count - 1 from the stream with this seed."""
    return np.argsort(np.random.Philox(key=seed).random_raw(count), kind="stable").astype(np.int64)
