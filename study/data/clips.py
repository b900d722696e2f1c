"""Clips: the index of a dataset, and the decoded arrays that trials train on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow.json import ParseOptions, ReadOptions, read_json

from search_spaces.digests import digest

Seconds = npt.NDArray[np.float64]

# What a reader returns: one row a clip. Frames are numbered from 0; offset is the clip's last frame.
CLIP_INDEX = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("onset", pa.int64(), nullable=False),
        pa.field("apex", pa.int64()),  # null where the dataset has none
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("fps", pa.float64()),
        # A video, or a folder of images in the numeric order of their names; relative to the dataset's root.
        pa.field("source", pa.string(), nullable=False),
        # The face in every frame of the clip, in pixels of the video; null: the whole frame.
        pa.field("face_left", pa.int64()),
        pa.field("face_top", pa.int64()),
        pa.field("face_width", pa.int64()),
        pa.field("face_height", pa.int64()),
        # 68 points of every frame of the source, relative to the root (files: video/landmarks.py); null: none.
        pa.field("landmarks", pa.string()),
    ]
)


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of CLIP_INDEX; what they leave out is null.

    By way of JSON: Arrow's own way from Python's values imports pandas, a quarter of a second of `losolab plan`.
    """
    if not rows:
        return CLIP_INDEX.empty_table()
    lines = "\n".join(json.dumps({name: row.get(name) for name in CLIP_INDEX.names}) for row in rows)
    parsing, reading = ParseOptions(explicit_schema=CLIP_INDEX), ReadOptions(use_threads=False)
    table = read_json(pa.BufferReader(lines.encode()), reading, parsing)
    return table.combine_chunks().cast(CLIP_INDEX)


@dataclass(frozen=True)
class ClipIndex:
    """The clips of a dataset, sorted by (dataset, subject, clip_id), and where their videos are.

    `classes` are the labels in the order of the networks' outputs. `truth` is what is planted in synthetic data; before
    their videos are written it has their options alone (readers.truth computes the rest). `notes` are what the user
    should know of the dataset: what was left out or replaced, with counts. `widened`: how many clips begin before their
    annotated onset or end after their offset, by the option window. `times`: of videos whose frame rate varies, by
    source, seconds from their first frame (inspection/frame_rates.py).
    """

    table: pa.Table  # of schema CLIP_INDEX
    root: Path
    name: str
    classes: tuple[str, ...]
    truth: dict[str, object] | None = None
    notes: tuple[str, ...] = ()
    widened: int = 0
    times: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def times_of(self, row: Mapping[str, Any]) -> Seconds | None:
        """Of a clip (a row of the table) whose frame rate varies, seconds from its onset to each of its frames.

        And to the frame after them: as far from the last one as that is from the one before where the video ends there.
        """
        times = self.times.get(row["source"], ())
        if len(times) <= max(1, row["offset"]):
            return None
        after = [*times, 2 * times[-1] - times[-2]]
        own = np.array(after[row["onset"] : row["offset"] + 2])
        return own - own[0]


@dataclass(frozen=True, eq=False)
class ClipNames:
    """Which clips there are, by name [N] and subject [N], their classes, and digests of what is in them.

    labels: indices into classes [N]; -1 where a ledger older than the protocols that ask for them does not know.
    digests: SHA-256 of each master's pixels, of "fps", of "times" where there are any, and under "index" that of ids,
    subjects, labels, classes, frame counts and apexes.
    """

    ids: npt.NDArray[np.str_]
    subjects: npt.NDArray[np.str_]
    classes: tuple[str, ...]
    digests: dict[str, str]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def data_digest(self, parts: tuple[str, ...]) -> str:
        """Identity of what a configuration that sees these parts is trained on, never of a path.

        `parts` are those of network_inputs.data_parts.
        """
        if "fps" in parts and "times" in self.digests:
            parts = (*parts, "times")
        return digest([self.digests["index"], *(self.digests[part] for part in parts)])

    def datasets(self) -> npt.NDArray[np.str_]:
        """The dataset of each clip [N], which `assemble` puts before its subject where there are several; else ""."""
        parts = [subject.partition("/") for subject in self.subjects.tolist()]
        several = all(slash for _, slash, _ in parts)
        return np.array([dataset if several else "" for dataset, _, _ in parts])


@dataclass(frozen=True, eq=False)  # equal when the same object: `sample` remembers what it made of it
class Clips(ClipNames):
    """Decoded clips as plain arrays (they travel through Ray's object store without a copy). N clips, R frames in all.

    pixels: the frames of a master (network_inputs.master), uint8 [R, S, S] at master size S; clip i owns rows
    first[i] : first[i] + frames[i], from its onset to its offset. apex: frames after the onset [N], -1 where unknown.
    fps: frames a second [N], NaN where unknown. times: of clips whose frame rate varies, seconds from the onset to each
    frame and to the one after [frames + 1].
    """

    first: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64]
    apex: npt.NDArray[np.int64]
    fps: npt.NDArray[np.float64]
    pixels: dict[str, npt.NDArray[np.uint8]]
    times: Mapping[int, Seconds] = field(default_factory=dict)


def assemble(
    index: ClipIndex, pixels: Mapping[str, npt.NDArray[np.uint8]], digests: Mapping[str, str] | None = None
) -> Clips:
    """Clips of an index and the frames of each master, uint8 [R, S, S], in the order of its rows, onset to offset.

    digests: those of the masters' pixels where they are known. Where the index holds several datasets, ids and subjects
    carry the dataset's name, so that each stays one.
    """
    rows = index.table.to_pylist()
    several = len({row["dataset"] for row in rows}) > 1
    prefixes = [f"{row['dataset']}/" if several else "" for row in rows]
    ids = [prefix + row["clip_id"] for prefix, row in zip(prefixes, rows, strict=True)]
    subjects = [prefix + row["subject"] for prefix, row in zip(prefixes, rows, strict=True)]
    frames = [row["offset"] - row["onset"] + 1 for row in rows]
    apex = [-1 if row["apex"] is None else row["apex"] - row["onset"] for row in rows]
    labels = [row["label"] for row in rows]
    fps = [row["fps"] for row in rows]
    times = {clip: own for clip, row in enumerate(rows) if (own := index.times_of(row)) is not None}
    when = {"times": digest([[clip, own.tolist()] for clip, own in times.items()])} if times else {}
    names = digest([ids, subjects, labels, index.classes, frames, apex])
    return Clips(
        ids=np.array(ids),
        subjects=np.array(subjects),
        labels=np.array([index.classes.index(label) for label in labels], np.int64),
        classes=index.classes,
        first=np.cumsum([0, *frames[:-1]], dtype=np.int64),
        frames=np.array(frames, np.int64),
        apex=np.array(apex, np.int64),
        fps=np.array([np.nan if rate is None else rate for rate in fps], np.float64),
        pixels=dict(pixels),
        times=times,
        digests={"index": names, "fps": digest(fps)}
        | when
        | dict(digests or {master: pixel_digest(array) for master, array in pixels.items()}),
    )


def pixel_digest(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of an array's shape and bytes."""
    state = pixel_state(pixels.shape)
    state.update(np.ascontiguousarray(pixels).data)
    return state.hexdigest()


def pixel_state(shape: tuple[int, ...]) -> "hashlib._Hash":
    """SHA-256 of an array before its bytes."""
    return hashlib.sha256(repr(shape).encode())
