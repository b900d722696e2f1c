"""The synthetic dataset as arrays."""

from collections.abc import Sequence

import numpy as np

from study.data.clips import Clips, assemble
from study.data.synthetic.dataset import BORDER, FACE, Synthetic, clips, index_of
from study.data.synthetic.renderer import render
from study.data.video.regions import Box, cut


def in_memory(spec: Synthetic, regions: Sequence[str] = ("face", "eyes", "mouth")) -> Clips:
    """The dataset as arrays, rendered and cut without the way over video files."""
    parts = {region: [] for region in regions}
    for one in sorted(clips(spec), key=lambda one: (one.subject.name, one.clip_id)):
        frames = render(one.subject, one.motion)[one.motion.onset : one.motion.offset + 1]
        for region in regions:
            parts[region].append(cut(frames, region, Box(BORDER, BORDER, FACE, FACE)))
    return assemble(index_of(spec), {region: np.concatenate(part) for region, part in parts.items()})
