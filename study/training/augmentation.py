"""Augmentation: how an epoch shows each clip, the same to all folds and in any batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from study.models import gpu


class Views(NamedTuple):
    """How each of B clips is shown, int64 [B]: all its frames and regions alike. What moves in repeats the edge."""

    mirrored: Tensor  # left to right: 0 or 1
    down: Tensor  # pixels
    right: Tensor  # pixels
    later: Tensor  # frames

    def split(self, sizes: Sequence[int]) -> "list[Views]":
        """The views of so many clips after one another."""
        return [Views(*own) for own in zip(*(part.split(sizes) for part in self), strict=True)]

    def of(self, clips: Tensor) -> Tensor:
        """Clips [B, T, H, W] as they are shown: moved, then mirrored."""
        batch, frames, height, width = clips.shape
        columns = _places(width, self.right)
        columns = torch.where(self.mirrored[:, None] > 0, columns.flip(1), columns)
        at = torch.arange(batch, device=clips.device)[:, None, None]
        moved = clips[at, _places(frames, self.later)[:, :, None], _places(height, self.down)[:, None]]
        return moved.gather(3, columns[:, None, None].expand_as(moved))


def views(
    config: TrialConfig, seed: int, epoch: int, names: Sequence[tuple[str, str]], device: torch.device
) -> Views | None:
    """How an epoch shows these clips, named (subject, id), by the stream of (seed, epoch, clip). None: as they are.

    A clip is mirrored with probability `flip`, to the nearest 1/65536; every move up to the largest is as likely.
    """
    if not (config.flip or config.crop_shift or config.temporal_jitter):
        return None
    words = np.array([stream("augmentation", seed, epoch, *name) for name in names], np.uint64)
    draws = (words >> np.arange(0, 64, 16, dtype=np.uint64)[:, None] & np.uint64(65535)).astype(np.int64)
    mirrored, *drawn = gpu.sent(torch.from_numpy(draws), device)
    largest = (config.crop_shift, config.crop_shift, config.temporal_jitter)
    moves = (((2 * most + 1) * draw >> 16) - most for most, draw in zip(largest, drawn, strict=True))
    return Views((mirrored < round(config.flip * 65536)).long(), *moves)


def _places(size: int, moved: Tensor) -> Tensor:
    """Where each of `size` places of an axis is read [B, size], for clips that moved to higher places by that."""
    return (torch.arange(size, device=moved.device) - moved[:, None]).clamp(0, size - 1)
