"""The synthetic dataset with a planted answer: the class lies in brow and mouth together, and only in their motion."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.digests import stream
from search_spaces.errors import UserError
from study.data.clips import ClipIndex, table_of
from study.data.synthetic.renderer import BORDER, FACE, Motion, Subject

CLASSES = ("negative", "positive", "surprise")
SHARES = (0.45, 0.30, 0.25)
BROW = {"negative": -1, "positive": -1, "surprise": 1}  # 1: up
MOUTH = {"negative": (-1,), "positive": (1,), "surprise": (-1, 1)}  # 1: corners pulled, -1: lips pressed; any at random
CODECS = ("h264", "mjpeg", "mpeg4")
SUFFIX = {"h264": ".mp4", "mjpeg": ".avi", "mpeg4": ".avi"}
FPS = 100.0


@dataclass(frozen=True)
class Synthetic:
    """Sizes and difficulty. Equal options give equal clips, to the byte."""

    subjects: int = 12
    clips: int = 12  # a subject, on average
    seed: int = 0
    mislabelled: float = 0.1  # share of clips annotated with another class
    motion: float = 5.0  # pixels at the apex on a 128 px face
    drift: float = 1.0  # pixels that a head moves in a clip, at most
    noise: float = 2.0  # gray levels, the mean over subjects
    blinks: float = 0.15  # probability of a blink in a clip, the mean over subjects
    subject_bias: float = 0.0  # share of a subject's clips that show its favourite class: its looks tell the class

    def __post_init__(self) -> None:
        limits = {
            "subjects": (2, 999),
            "clips": (3, 999),
            "mislabelled": (0, 0.5),
            "motion": (0, 6),
            "drift": (0, 3),
            "noise": (0, 50),
            "blinks": (0, 0.5),
            "subject_bias": (0, 1),
        }
        problems = [
            f"synthetic data: {name} is {getattr(self, name)}; valid: {low} to {high}"
            for name, (low, high) in limits.items()
            if not low <= getattr(self, name) <= high
        ]
        if problems:
            raise UserError(problems)

    def options(self) -> dict[str, Any]:
        """As they are written down; of datasets as there were before a bias it says nothing."""
        return {name: value for name, value in asdict(self).items() if name != "subject_bias" or value}


@dataclass(frozen=True)
class Clip:
    """One clip: who, what is shown, what the annotation says, and where its video lies in the dataset's folder."""

    clip_id: str
    subject: Subject
    motion: Motion
    expression: str  # what is shown
    label: str  # what the annotation says
    brow: int  # 1 up, -1 down
    mouth: int  # 1 pulled, -1 pressed
    codec: str
    source: str


def clips(spec: Synthetic) -> list[Clip]:
    """Every clip's parameters, without rendering; subjects have unequal numbers of clips."""
    draw = generator(spec, "clips")
    people = [subject(spec, number) for number in range(spec.subjects)]
    counts = apportion(draw.permutation(np.linspace(0.5, 1.5, spec.subjects)), spec.subjects * spec.clips)
    expressions = draw.permutation(np.repeat(CLASSES, apportion(np.array(SHARES), counts.sum())))
    expressions = _biased(spec, expressions, counts)
    wrong = draw.permutation(len(expressions)) < round(spec.mislabelled * len(expressions))
    owners = [(person, number) for person, count in zip(people, counts, strict=True) for number in range(count)]
    return [
        clip(spec, person, number, str(expression), bool(mistaken))
        for (person, number), expression, mistaken in zip(owners, expressions, wrong, strict=True)
    ]


def _biased(spec: Synthetic, expressions: npt.NDArray[np.str_], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    """The expressions, in a share of each subject's clips its favourite class; the classes' shares about stay."""
    if not spec.subject_bias:
        return expressions
    draw = generator(spec, "subject_bias")
    favourites = draw.permutation(np.repeat(CLASSES, apportion(np.array(SHARES), spec.subjects)))
    return np.where(draw.random(len(expressions)) < spec.subject_bias, np.repeat(favourites, counts), expressions)


def clip(spec: Synthetic, person: Subject, number: int, expression: str, mistaken: bool) -> Clip:
    """One clip of a subject; a mistaken annotation is any of the other classes."""
    clip_id = f"{person.name}_{number + 1:02d}"
    draw = generator(spec, "clip", clip_id)
    brow, mouth = BROW[expression], int(draw.choice(MOUTH[expression]))
    others = [name for name in CLASSES if name != expression]
    label = str(draw.choice(others)) if mistaken else expression
    codec = str(draw.choice(CODECS))
    size = spec.motion * person.expressivity * draw.uniform(0.85, 1.15)
    lead, lasts, tail = (int(draw.integers(low, high)) for low, high in ((3, 8), (20, 41), (3, 8)))
    blink = int(draw.integers(lead + lasts)) if draw.random() < person.blinks else None
    motion = Motion(
        length=lead + lasts + tail,
        onset=lead,
        apex=lead + round(draw.uniform(0.15, 0.85) * (lasts - 1)),
        offset=lead + lasts - 1,
        brow=brow * size,
        pull=size * (mouth > 0),
        press=size * (mouth < 0),
        blink=blink,
        exposure=draw.uniform(0.9, 1.1),
        seed=stream("synthetic", spec.seed, "pixels", clip_id),
    )
    source = f"rawvideo/{person.name}/{clip_id}{SUFFIX[codec]}"
    return Clip(clip_id, person, motion, expression, label, brow, mouth, codec, source)


def subject(spec: Synthetic, number: int) -> Subject:
    """A person; rest poses spread over twice the motion to either side, so that no single frame tells the class."""
    name = f"s{number + 1:02d}"
    draw = generator(spec, "subject", name)
    spread = 2 * spec.motion
    return Subject(
        name=name,
        brow=draw.uniform(-spread, spread),
        corners=draw.uniform(-spread, spread),
        lips=1.2 * spec.motion + 3 + draw.uniform(0, spread),
        width=draw.uniform(22, 30),
        eyes=draw.uniform(25, 30),
        expressivity=draw.uniform(0.8, 1.2),
        skin=draw.uniform(110, 190),
        hair=draw.uniform(0.2, 0.7),
        complexion=stream("synthetic", spec.seed, "complexion", name),
        light=(draw.uniform(-0.4, 0.4), draw.uniform(-0.2, 0.2)),
        drift=spec.drift * draw.uniform(0.3, 1),
        noise=spec.noise * draw.uniform(0.5, 1.5),
        blinks=spec.blinks * draw.uniform(0, 2),
    )


def index_of(spec: Synthetic, root: Path = Path(), truth: dict[str, object] | None = None) -> ClipIndex:
    """The index that the dataset's annotation gives, without rendering or writing anything."""
    rows = [
        {
            "clip_id": one.clip_id,
            "dataset": "synthetic",
            "subject": one.subject.name,
            "label": one.label,
            "onset": one.motion.onset,
            "apex": one.motion.apex,
            "offset": one.motion.offset,
            "fps": FPS,
            "source": one.source,
            "face_left": BORDER,
            "face_top": BORDER,
            "face_width": FACE,
            "face_height": FACE,
        }
        for one in clips(spec)
    ]
    rows.sort(key=lambda row: (row["subject"], row["clip_id"]))
    classes = tuple(sorted({str(row["label"]) for row in rows}))
    return ClipIndex(table_of(rows), root, "synthetic", classes, truth)


def apportion(weights: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.int64]:
    """Whole numbers in proportion to the weights that sum to the total (largest remainders)."""
    exact = weights / weights.sum() * total
    whole = np.floor(exact).astype(np.int64)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def generator(spec: Synthetic, *names: str) -> np.random.Generator:
    """Random numbers of a name, the same on every machine."""
    return np.random.Generator(np.random.Philox(stream("synthetic", spec.seed, *names)))
