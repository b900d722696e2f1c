"""The portable golden digest: what training gives, in four digits, on every machine."""

import json

import numpy as np
import pyarrow as pa

from search_spaces.config import TrialConfig
from search_spaces.digests import digest
from search_spaces.spec import Resources
from study.data.clips import CLIP_INDEX, ClipIndex, Clips, assemble
from study.trials.fold_identity import TRAINING_VERSION
from study.trials.trial import Trial, run_trial

CONFIGS = [
    TrialConfig(regions="eyes+mouth", fusion="intermediate", input="frame_difference"),
    TrialConfig(regions="face", head="pool", depth=2, normalisation="clip", dense_activation="none"),
    TrialConfig(regions="face+eyes+mouth", fusion="late", control="permuted_labels"),
]
SIZES = {"frames": 6, "crop": 16, "kernel_time": 3, "filters": 2, "hidden": 4, "epochs": 2, "momentum": 0.9}

# Changes only together with TRAINING_VERSION.
PORTABLE = {2: "b6f407f4f4cbc4faa320872a4bc5c7c7a3511dec3ef02604078c89693e38d536"}


def clips() -> Clips:
    """Three subjects whose pixels are made of integers: no video, no random generator of a library."""
    rows, columns, frames, sides = 12, 32, 7, {"face": 32, "eyes": 16, "mouth": 16}
    blank = {field.name: None for field in CLIP_INDEX}
    table = pa.Table.from_pylist(
        [
            blank
            | {"clip_id": f"clip{i:02}", "dataset": "integers", "subject": f"s{i % 3}", "label": "abc"[i * i % 3 % 2]}
            | {"onset": 0, "apex": 3, "offset": frames - 1, "source": "none"}
            for i in range(rows)
        ],
        CLIP_INDEX,
    )
    n = np.arange(rows * frames * columns * columns, dtype=np.int64)
    pixels = ((n * 2654435761 % 2**32) >> 24).astype(np.uint8).reshape(-1, columns, columns)
    return assemble(
        ClipIndex(table, None, "integers", ("a", "b")),
        {region: np.ascontiguousarray(pixels[:, :side, :side]) for region, side in sides.items()},
    )


def test_portable_digest():
    data, rows = clips(), []
    for number, config in enumerate(CONFIGS):
        config = TrialConfig(**config.explicit() | SIZES | {"precision": "float64"})
        trial = Trial(number, "ablate", "arm", config, (1, 2))
        for group in run_trial(trial, data, {}, Resources()):
            for fold in group:
                for clip, y_true, y_pred, probabilities in json.loads(fold.predictions):
                    rows.append(
                        [number, fold.seed, fold.held_out, clip, y_true, y_pred, *map("{:.4f}".format, probabilities)]
                    )
    assert len(rows) == 3 * 2 * 12
    assert len({tuple(row[6:]) for row in rows}) > 60, "the networks say nothing"
    assert digest(sorted(rows)) == PORTABLE[TRAINING_VERSION]
