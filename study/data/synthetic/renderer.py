"""Rendered faces: what a clip of the synthetic dataset looks like, as a function of its parameters. numpy only."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

RENDERER = 1  # goes up when the same parameters would give other pixels
FRAME = 176  # side of a frame in pixels
FACE = 128  # side of the face box
BORDER = (FRAME - FACE) // 2  # left and top of the face box
REACH = 8  # pixels that a head may move and a brow or lip may grow beyond its patch's rest size

Reals = npt.NDArray[np.floating]  # float32 throughout; the stubs cannot tell


@dataclass(frozen=True)
class Subject:
    """A person. Lengths are pixels on a 128 px face; brightness is in gray levels."""

    name: str
    brow: float  # rest height of the brows above their mean place
    corners: float  # rest lift of the lip corners
    lips: float  # rest thickness of the closed lips
    width: float  # half the mouth's rest width
    eyes: float  # half the distance of the eyes
    expressivity: float  # motion as a multiple of the dataset's
    skin: float
    hair: float  # brightness as a share of the skin's
    complexion: int  # seed of the skin's and the background's blotches
    light: tuple[float, float]  # slope of the lighting from left to right and from top to bottom
    drift: float  # how far the head moves in a clip
    noise: float  # standard deviation of the sensor's noise
    blinks: float  # probability of a blink in a clip


@dataclass(frozen=True)
class Motion:
    """What happens in a clip. Frames are numbered from 0; lengths are pixels on a 128 px face."""

    length: int  # frames of the video
    onset: int
    apex: int
    offset: int
    brow: float  # how far the brows rise at the apex (negative: fall)
    pull: float  # how far the lip corners rise at the apex
    press: float  # how much thinner the lips are at the apex
    blink: int | None  # frame at which the eyes are shut
    exposure: float  # brightness as a multiple of the subject's
    seed: int  # of head drift and sensor noise


def render(subject: Subject, motion: Motion) -> npt.NDArray[np.uint8]:
    """A clip as gray frames, uint8 [length, 176, 176]; the head drifts in the face box at (24, 24)."""
    draw = np.random.Generator(np.random.Philox(motion.seed))
    dx, dy = drift(motion.length, subject.drift, draw)
    frames = shifted(still(subject) * np.float32(motion.exposure), dx, dy)
    strength = pulse(motion)
    for side in (-1, 1):
        draw_eye(frames, subject, side, shut(motion), dx, dy)
        draw_brow(frames, subject, side, subject.brow + motion.brow * strength, dx, dy)
    draw_mouth(frames, subject, motion, strength, dx, dy)
    add_noise(frames, subject.noise, draw)
    return np.clip(frames + 0.5, 0, 255).astype(np.uint8)


def pulse(motion: Motion) -> Reals:
    """Strength of the expression [length]: 0 up to the onset and from the offset, 1 at the apex, half cosines between.

    A half cosine spends as long near 0 as near 1, so that shuffled frames do not tell rest from apex.
    """
    at = np.arange(motion.length)
    phase = np.interp(at, [motion.onset, motion.apex, motion.offset], [0.0, 1.0, 2.0])
    return ((1 - np.cos(np.pi * phase)) / 2).astype(np.float32)


def shut(motion: Motion) -> Reals:
    """How far the eyes are shut [length], 0 to 1: a blink lasts about a tenth of a second."""
    if motion.blink is None:
        return np.zeros(motion.length, np.float32)
    return np.clip(1.4 - np.abs(np.arange(motion.length) - motion.blink) / 5, 0, 1).astype(np.float32)


def drift(length: int, size: float, draw: np.random.Generator) -> tuple[Reals, Reals]:
    """A head's slow path in pixels, x and y [length]: a straight way and half a sway."""
    t = np.linspace(-0.5, 0.5, length)
    way, sway, phase = draw.uniform(-1, 1, (3, 2, 1))
    path = size * (way * t + 0.5 * sway * np.sin(2 * np.pi * t + np.pi * phase))
    return path[0].astype(np.float32), path[1].astype(np.float32)


@lru_cache(maxsize=1)
def still(subject: Subject) -> Reals:
    """All that does not move by itself, with a border for drift: background, hair, head, nose, light [184, 184]."""
    y, x = grid(-REACH // 2, -REACH // 2, FRAME + REACH, FRAME + REACH)
    oval: Reals = np.hypot((x - 64) / 58, (y - 66) / 74)
    hair: Reals = np.hypot((x - 64) / 68, (y - 56) / 78)
    image: Reals = np.full_like(x, 0.35 * subject.skin)
    image += smooth((1 - hair) * 68) * (subject.hair * subject.skin - image)
    image += smooth((1 - oval) * 58) * (subject.skin * (1.05 - 0.25 * oval**2) - image)
    image *= 1 - 0.2 * np.exp(-(((x - 64) / 7) ** 2) - ((y - 78) / 6) ** 2)
    image *= 1 + blotches(subject.complexion, y, x)
    image *= 1 + subject.light[0] * (x - 64) / 128 + subject.light[1] * (y - 64) / 128
    return image


def blotches(seed: int, y: Reals, x: Reals) -> Reals:
    """A smooth random pattern [h, w] of standard deviation 0.15: sixteen waves of 10 to 40 pixels' length."""
    draw = np.random.Generator(np.random.Philox(seed))
    lengths, angles, phases = draw.uniform(10, 40, 16), draw.uniform(0, np.pi, 16), draw.uniform(0, 2 * np.pi, 16)
    waves = [
        np.cos(2 * np.pi / length * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        for length, angle, phase in zip(lengths, angles, phases, strict=True)
    ]
    return (0.15 * np.sum(waves, axis=0) / np.sqrt(8)).astype(np.float32)


def shifted(image: Reals, dx: Reals, dy: Reals) -> Reals:
    """The image moved by (dx, dy) pixels in each frame, linearly interpolated, float32 [length, 176, 176]."""
    frames = np.empty((len(dx), FRAME, FRAME), np.float32)
    for frame, x, y in zip(frames, REACH // 2 - dx, REACH // 2 - dy, strict=True):
        left, top = int(x), int(y)
        rows = image[top : top + FRAME + 1, left : left + FRAME + 1]
        rows = rows[:-1] + (y - top) * (rows[1:] - rows[:-1])
        frame[:] = rows[:, :-1] + (x - left) * (rows[:, 1:] - rows[:, :-1])
    return frames


def draw_brow(frames: Reals, subject: Subject, side: int, height: Reals, dx: Reals, dy: Reals) -> None:
    """An arched dark band whose height in each frame is given [length]."""
    patch, y, x = place(frames, (64 + side * subject.eyes, 30), (21, 28), dx, dy)
    along = (x - 64 - side * subject.eyes) / 18
    across = np.abs(y - 31 + height[:, None, None] + 4 * (1 - along**2))
    patch *= 1 - 0.6 * smooth(3 - across) * smooth((1 - np.abs(along)) * 18)


def draw_eye(frames: Reals, subject: Subject, side: int, closed: Reals, dx: Reals, dy: Reals) -> None:
    """A bright almond with a dark iris, shut as far as given [length]: then a dark line is left."""
    patch, y, x = place(frames, (64 + side * subject.eyes, 55), (15, 10), dx, dy)
    along, below = x - 64 - side * subject.eyes, y - 55
    opening = 5.5 * (1 - (along / 12) ** 2) * (1 - closed[:, None, None])
    seen = smooth(opening - np.abs(below)) * smooth(12 - np.abs(along))
    iris = smooth(4.5 - np.hypot(along, below))
    patch *= 1 + seen * (0.25 - 0.85 * iris)
    patch *= 1 - 0.35 * smooth(1 - np.abs(np.abs(below) - opening)) * smooth(12 - np.abs(along)) * (below < 1)


def draw_mouth(frames: Reals, subject: Subject, motion: Motion, strength: Reals, dx: Reals, dy: Reals) -> None:
    """Closed lips: corners rise and part when pulled, lips thin and narrow when pressed."""
    patch, y, x = place(frames, (64, 99), (44, 22), dx, dy)
    strength = strength[:, None, None]
    width = subject.width + (0.5 * motion.pull - 0.3 * motion.press) * strength
    along = (x - 64) / width
    line = 99 + (subject.corners + motion.pull * strength) * (0.3 - along**2)
    half = (subject.lips - motion.press * strength) / 2 * np.maximum(1 - along**2, 0)
    across, inside = np.abs(y - line), smooth((1 - np.abs(along)) * width)
    patch *= 1 - 0.35 * smooth(half - across) * inside
    patch *= 1 - 0.4 * smooth(1 - across) * inside


def add_noise(frames: Reals, size: float, draw: np.random.Generator) -> None:
    """Sensor noise in place: each frame gets another window of one larger field, which is many times faster."""
    field = draw.normal(0, size, (FRAME + 64, FRAME + 64)).astype(np.float32)
    for frame, (top, left) in zip(frames, draw.integers(0, 65, (len(frames), 2)), strict=True):
        frame += field[top : top + FRAME, left : left + FRAME]


def place(
    frames: Reals, centre: tuple[float, float], half: tuple[int, int], dx: Reals, dy: Reals
) -> tuple[Reals, Reals, Reals]:
    """A patch of all frames (a view) around a place, and its y and x on the drifting face (they broadcast to it)."""
    left, top = round(centre[0]) - half[0], round(centre[1]) - half[1]
    y, x = grid(left, top, 2 * half[0] + 1, 2 * half[1] + 1, corner=0)
    rows, columns = slice(top + BORDER, top + BORDER + y.shape[0]), slice(left + BORDER, left + BORDER + x.shape[1])
    return frames[:, rows, columns], y[:, :1] - dy[:, None, None], x[:1] - dx[:, None, None]


def grid(left: int, top: int, width: int, height: int, corner: int = BORDER) -> tuple[Reals, Reals]:
    """Coordinates y and x [height, width] on the face, which starts `corner` pixels into the field."""
    y, x = np.mgrid[top - corner : top - corner + height, left - corner : left - corner + width]
    return y.astype(np.float32), x.astype(np.float32)


def smooth(inside: Reals) -> Reals:
    """Coverage, 0 to 1, of a pixel that lies so many pixels inside an edge: an edge 2 pixels soft."""
    return np.clip(inside / 2 + np.float32(0.5), 0, 1)
