"""What the predictions of a trial that ended say, as metrics and as a picture."""

import json
from collections import defaultdict
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analysis.stats.confusion import Counts
from analysis.stats.metrics import uf1
from analysis.stats.scores import Score
from search_spaces.protocols import protocol
from study.ledger.snapshot import snapshot
from study.tracking.runs import STATUS, Run

_CELL, _MARGIN = 72, 110  # pixels


def counts(folder: Path, run: Run) -> Counts:
    """A trial's confusions [N subjects, S seeds, K true, K predicted]; of a pruned one up to its race's end."""
    study = snapshot(folder, only=run.trial)
    assert study is not None
    (row,) = study.trials
    seeds = {seed: place for place, seed in enumerate(row.trial.seeds)}
    classes = {name: place for place, name in enumerate(study.classes)}
    blank = (len(seeds), len(classes), len(classes))
    of_clip = dict(zip(study.clips.ids.tolist(), study.clips.subjects.tolist(), strict=True))
    by_subject: dict[str, Counts] = defaultdict(lambda: np.zeros(blank, dtype=np.int64))
    for fold in study.counted(row):
        for clip, true, predicted, *_ in json.loads(fold.predictions):
            by_subject[of_clip[clip]][seeds[fold.seed], classes[true], classes[predicted]] += 1
    return np.stack([by_subject[subject] for subject in sorted(by_subject)])


def scored(run: Run, found: Counts) -> Run:
    """A complete trial's run with its interval, UAR and accuracy right behind its UF1; a pruned one's with its UF1.

    There is no interval where subjects were trained and tested on.

    That is of some subjects only, so it must not rank among those of all: it has a name of its own.
    """
    first, *others = run.metrics
    if run.status == STATUS["pruned"]:
        value = round(float(uf1(found.sum(0)).mean()), 4)
        return replace(run, metrics=(("partial/uf1", value, *first[2:]), *run.metrics))
    score = Score.of(found)
    ends = {"uf1_low": score.interval.low, "uf1_high": score.interval.high}
    whole = protocol(run.parameters["protocol"]).by_subject
    values = (ends if whole else {}) | {"uar": score.uar, "accuracy": score.accuracy}
    own = [(name, round(value, 4), *first[2:]) for name, value in values.items()]
    return replace(run, metrics=(first, *own, *others))


def picture(run: Run, found: Counts, classes: tuple[str, ...]) -> str:
    """The confusion matrix as SVG: shares of a row, and below them clips, the mean over seeds.

    By hand, for matplotlib takes 1 CPU-second to import and 0.1 a picture.
    """
    clips: npt.NDArray[np.float64] = found.sum(0).mean(0)
    shares = clips / np.maximum(clips.sum(1, keepdims=True), 1)
    side = _MARGIN + _CELL * len(classes)
    cells = [_cell(t, p, float(share), float(clips[t, p])) for (t, p), share in np.ndenumerate(shares)]
    middles = [_MARGIN + _CELL * (i + 0.5) for i in range(len(classes))]
    labels = [
        f'<text x="{_MARGIN - 8}" y="{at:g}" text-anchor="end">{escape(name)}</text>'
        f'<text x="{at:g}" y="{_MARGIN - 10}" text-anchor="middle">{escape(name)}</text>'
        for at, name in zip(middles, classes, strict=True)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side + 10}" height="{side + 10}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="10" y="20" font-size="14">{escape(run.name)}</text>'
        f'<text x="10" y="40">rows: true, columns: predicted</text>{"".join(labels)}{"".join(cells)}</svg>'
    )


def _cell(t: int, p: int, share: float, clips: float) -> str:
    x, y, middle = _MARGIN + _CELL * p, _MARGIN + _CELL * t, _CELL / 2
    ink = "white" if share > 0.55 else "#1c2430"
    shade = "#{:02x}{:02x}{:02x}".format(*(round(255 + share * (dark - 255)) for dark in (0x1F, 0x4E, 0x79)))
    return (
        f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{shade}" stroke="#cccccc"/>'
        f'<text x="{x + middle:g}" y="{y + middle:g}" text-anchor="middle" fill="{ink}">{100 * share:.0f} %</text>'
        f'<text x="{x + middle:g}" y="{y + middle + 18:g}" text-anchor="middle" fill="{ink}" font-size="10">'
        f"{clips:.4g}</text>"
    )
