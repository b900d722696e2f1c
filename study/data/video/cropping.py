"""Masters: a source decoded once, and the regions of its clips cut out of it on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError
from study.data.video import decode, landmarks
from study.data.video.regions import Box, box, crop, cut_aligned, cut_unaligned, union

CHUNK = 8  # frames that a clip holds at a time: they stay in the processor's cache

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """A clip to be cut from a source: frames first..last, by the face box or the landmarks, or else the whole frame."""

    clip_id: str
    first: int
    last: int
    face: Box | None = None
    landmarks: Path | None = None

    @property
    def length(self) -> int:
        """Frames."""
        return self.last - self.first + 1


def wanted_of(root: Path, row: Mapping[str, Any]) -> Wanted:
    """What a row by the columns of CLIP_INDEX, those that may be null perhaps missing, says is to be cut."""
    face = None if row.get("face_left") is None else Box(*(row[f"face_{side}"] for side in Box._fields))
    points = None if row.get("landmarks") is None else root / row["landmarks"]
    return Wanted(row["clip_id"], row["onset"], row["offset"], face, points)


class Cutter:
    """Takes a clip's frames one by one, in order, and keeps only its masters, uint8 [n, S, S] each."""

    def __init__(self, path: Path, wanted: Wanted, masters: Sequence[str]) -> None:
        """masters: names as network_inputs.master makes them. Raises UserError when landmarks are missing."""
        self.path, self.wanted = path, wanted
        self.parts: dict[str, list[Pixels]] = {master: [] for master in masters}
        self.points: landmarks.Points | None = None
        if wanted.landmarks is not None:
            self.points = landmarks.read(wanted.landmarks, wanted.first, wanted.last, path)
        self.size: tuple[int, ...] = ()
        self.held: list[Pixels] = []
        self.taken = 0

    def add(self, frame: decode.Frame) -> None:
        """The next frame. Raises UserError when it is of another size, or the face does not lie within it."""
        if not self.size:
            self.size = frame.shape[:2]
            self._place()
        elif frame.shape[:2] != self.size:
            raise UserError(f"{self.path}: frames have different sizes, {self.size} and {frame.shape[:2]}")
        left, top, width, height = self.window
        self.held.append(decode.gray(frame[top : top + height, left : left + width]))
        if len(self.held) == CHUNK:
            self._cut()

    def masters(self) -> dict[str, Pixels]:
        """What was cut. Raises UserError when the source has fewer frames than the clip."""
        self._cut()
        decode.check_end(self.path, self.taken, self.wanted.first, self.wanted.last)
        return {master: np.concatenate(parts) for master, parts in self.parts.items()}

    def _place(self) -> None:
        """Where the masters lie, and the part of the frame that they need."""
        height, width = self.size
        fixed = [master for master in self.parts if self._is_fixed(master)]
        try:
            self.boxes = {master: box(region_of(master), self.wanted.face, height, width) for master in fixed}
        except ValueError as error:
            remedy = "correct face_left, face_top, face_width, face_height"
            raise UserError(f"{self.path}: {error}; {remedy}") from error
        moving = len(fixed) < len(self.parts)
        self.window = Box(0, 0, width, height) if moving else union(list(self.boxes.values()))

    def _is_fixed(self, master: str) -> bool:
        return self.points is None or region_of(master) == "frame"

    def _cut(self) -> None:
        if not self.held:
            return
        frames = np.stack(self.held)
        for master, parts in self.parts.items():
            try:
                parts.append(self._cut_one(master, frames))
            except ValueError as error:
                where = f"frames {self.wanted.first + self.taken} and on"
                raise UserError(f"{self.path}, {where}: {error}; correct {self.wanted.landmarks}") from error
        self.taken += len(frames)
        self.held = []

    def _cut_one(self, master: str, frames: Pixels) -> Pixels:
        region, levels = region_of(master), master.split(".")[1:]
        if self.points is None or region == "frame":
            left, top, width, height = self.boxes[master]
            return crop(frames, Box(left - self.window.left, top - self.window.top, width, height), region)
        onset = self.points[0]
        own = self.points[self.taken : self.taken + len(frames)]
        points = own if "per_frame" in levels else np.broadcast_to(onset, own.shape)
        if "none" in levels:
            return cut_unaligned(frames, region, points)
        return cut_aligned(frames, region, points, onset)


def region_of(master: str) -> str:
    """The region of a master's name, as network_inputs.master makes it."""
    return master.partition(".")[0]


def cut_source(path: Path, wanted: Sequence[Wanted], masters: Sequence[str]) -> list[dict[str, Pixels] | UserError]:
    """Decode a source once, in order, and cut these clips out of it: each clip's masters, or what is wrong with it."""
    outcomes: list[Cutter | UserError] = [attempt(partial(Cutter, path, clip, masters)) for clip in wanted]
    start, end = min(clip.first for clip in wanted), max(clip.last for clip in wanted)
    try:
        for number, frame in enumerate(decode.frames(path, start, end), start):
            for place, clip in enumerate(wanted):
                cutter = outcomes[place]
                if clip.first <= number <= clip.last and isinstance(cutter, Cutter):
                    outcomes[place] = attempt(partial(cutter.add, frame)) or cutter
    except UserError as error:
        return [outcome if isinstance(outcome, UserError) else error for outcome in outcomes]
    return [outcome if isinstance(outcome, UserError) else attempt(outcome.masters) for outcome in outcomes]


def attempt(work: Callable[[], T]) -> T | UserError:
    """What work returns, or the UserError that it raises."""
    try:
        return work()
    except UserError as error:
        return error
