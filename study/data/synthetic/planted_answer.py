"""The planted answer of a synthetic dataset: what an ideal observer scores, and which effects a study must find."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.errors import UserError
from search_spaces.files import require_file
from study.data.synthetic.dataset import BROW, CLASSES, MOUTH, Clip, Synthetic, clips

# Which of (brow, mouth) a level of `regions` shows.
SEEN = {
    "face": (True, True),
    "eyes": (True, False),
    "mouth": (False, True),
    "eyes+mouth": (True, True),
    "face+eyes+mouth": (True, True),
    "frame": (True, True),
}
PLANTED = (
    ("regions", "eyes", "lower"),
    ("regions", "mouth", "lower"),
    ("input", "gray", "lower"),
    ("control", "single_frame", "lower"),
    ("control", "shuffled_time", "lower"),
    ("control", "shuffled_labels", "chance"),
)

# What truth.json holds, by the kinds of its values: a name stands for any, in a mapping of as many as there are.
_SHAPE = {
    "options": dict,
    "ideal_uf1": {"regions": {"LEVEL": {"balanced": float, "actual": float, "limit": float}}},
    "planted": [{"factor": str, "level": str, "expect": str}],
}

Cue = tuple[int, ...]
Joint = Mapping[tuple[int, int], Mapping[str, Fraction]]  # (brow, mouth) -> label -> probability


@cache  # whoever asks does not change it
def truth(spec: Synthetic) -> dict[str, object]:
    """What `truth.json` holds: the options, the planted effects, and pooled UF1 by level of `regions`.

    balanced, actual: of an observer who says the most probable label, and tosses a coin where two are equally probable;
    with equal shares and no mistaken label, and with the dataset's shares and mistakes. limit: the most that any rule
    scores on the dataset, chance allowed: UF1 rewards naming a class that is never the most probable.
    """
    even, actual = balanced(), joint(clips(spec))
    scores = {
        seen: {
            "balanced": ideal_uf1(marginal(even, seen)),
            "actual": ideal_uf1(marginal(actual, seen)),
            "limit": best_uf1(marginal(actual, seen)),
        }
        for seen in set(SEEN.values())
    }
    return {
        "options": spec.options(),
        "ideal_uf1": {"regions": {level: dict(scores[seen]) for level, seen in SEEN.items()}},
        "planted": [{"factor": factor, "level": level, "expect": expect} for factor, level, expect in PLANTED],
    } | ({"identity_uf1": round(identity_uf1(clips(spec)), 4)} if spec.subject_bias else {})


def identity_uf1(dataset: Sequence[Clip]) -> float:
    """Pooled UF1 of an observer who sees only whose clip it is, and says the commonest label of the subject's others.

    What a split of clips gives away, and LOSO does not; of labels that are equally common the first.
    """
    own = defaultdict[str, Counter[str]](Counter)
    for one in dataset:
        own[one.subject.name][one.label] += 1
    table = np.zeros((len(CLASSES), len(CLASSES)))
    for one in dataset:
        others = own[one.subject.name] - Counter([one.label])
        said = max(CLASSES, key=lambda name: others[name])
        table[CLASSES.index(one.label), CLASSES.index(said)] += 1
    hits, margins = table.diagonal(), table.sum(0) + table.sum(1)
    return float((2 * hits / margins).mean())


def planted(file: Path) -> dict[str, object] | None:
    """The planted answer that lies beside a table; None where none is. Raises UserError where it is another file."""
    if not file.exists():
        return None
    remedy = "`losolab data synthesize` writes it again; beside clips of your own, give it another name"
    require_file(file, f"what is planted in synthetic data: {remedy}")
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: not readable as JSON in UTF-8 ({error}); {remedy}") from error
    if wrong := _unlike(held, _SHAPE, ""):
        raise UserError(f"{file}: {wrong}, and so not what is planted in synthetic data; {remedy}")
    return dict(held)


def _unlike(held: Any, shape: Any, place: str) -> str | None:
    """Where a value is not of this shape, and of what kind it should be; None where it is."""
    if isinstance(shape, type):
        kind: Any = (int, float) if shape is float else shape
        fits = isinstance(held, kind) and not isinstance(held, bool)
        return None if fits else f"{place} is no {'number' if shape is float else shape.__name__}"
    if not isinstance(held, type(shape)):
        return f"{place or 'it'} is no {'list' if isinstance(shape, list) else 'mapping'}"
    if isinstance(shape, list):
        parts = [(str(number), one, shape[0]) for number, one in enumerate(held)]
    elif "LEVEL" in shape:
        parts = [(str(name), one, shape["LEVEL"]) for name, one in held.items()]
    else:
        parts = [(name, held.get(name), own) for name, own in shape.items()]
    return next((wrong for name, one, own in parts if (wrong := _unlike(one, own, f"{place}.{name}".strip(".")))), None)


def balanced() -> Joint:
    """Equal class shares, no mistaken label."""
    share = Fraction(1, len(CLASSES))
    return weigh({(name, name): share for name in CLASSES})


def joint(dataset: Sequence[Clip]) -> Joint:
    """The dataset's shares of shown and annotated classes, each with the mouths that its expression may have."""
    pairs = Counter((one.expression, one.label) for one in dataset)
    return weigh({pair: Fraction(number, len(dataset)) for pair, number in pairs.items()})


def weigh(pairs: Mapping[tuple[str, str], Fraction]) -> Joint:
    """Probabilities of (shown, annotated) -> of labels by cue; an expression's possible mouths are equally probable."""
    table: dict[tuple[int, int], dict[str, Fraction]] = defaultdict(lambda: dict.fromkeys(CLASSES, Fraction(0)))
    for (expression, label), probability in pairs.items():
        for mouth in MOUTH[expression]:
            table[BROW[expression], mouth][label] += probability / len(MOUTH[expression])
    return table


def marginal(table: Joint, seen: tuple[bool, bool]) -> list[list[Fraction]]:
    """Probabilities [cue, label] of what an observer can tell apart who sees only these parts."""
    cues: dict[Cue, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * len(CLASSES))
    for parts, labels in sorted(table.items()):
        cue = tuple(part for part, visible in zip(parts, seen, strict=True) if visible)
        cues[cue] = [old + labels[name] for old, name in zip(cues[cue], CLASSES, strict=True)]
    return list(cues.values())


def ideal_uf1(table: list[list[Fraction]]) -> float:
    """UF1 of saying the most probable label, ties at random; table [cue, label]."""
    rule = [[Fraction(p == max(row), row.count(max(row))) for p in row] for row in table]
    return round(float(uf1(np.array(table, float), np.array(rule, float))), 4)


def best_uf1(table: list[list[Fraction]], steps: int = 20) -> float:
    """The most UF1 of any rule, probabilities of answers in steps of 1/20: coordinate ascent from every plain rule."""
    probabilities = np.array(table, float)
    mixtures = np.array([m for m in product(range(steps + 1), repeat=len(CLASSES)) if sum(m) == steps]) / steps
    starts = product(np.eye(len(CLASSES)), repeat=len(table))
    return round(max(climb(probabilities, np.array(start), mixtures) for start in starts), 4)


def climb(table: npt.NDArray[np.float64], rule: npt.NDArray[np.float64], mixtures: npt.NDArray[np.float64]) -> float:
    """UF1 after giving each cue in turn its best mixture of answers, until none gains."""
    score, before = uf1(table, rule), -1.0
    while score > before + 1e-12:
        before = float(score)
        for cue in range(len(rule)):
            trials = np.repeat(rule[None], len(mixtures), axis=0)
            trials[:, cue] = mixtures
            found = uf1(table, trials)
            rule, score = trials[found.argmax()], found.max()
    return float(score)


def uf1(table: npt.NDArray[np.float64], rule: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Unweighted mean F1 of answering cue c with label k at probability rule[..., c, k]."""
    hits = np.einsum("ck,...ck->...k", table, rule)
    answers = np.einsum("c,...ck->...k", table.sum(1), rule)
    return np.asarray((2 * hits / (table.sum(0) + answers)).mean(-1))
