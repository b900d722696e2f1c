"""A contact sheet of a dataset as the networks will see it: a page for this computer alone, because it shows faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import numpy.typing as npt

from study.data.clips import ClipIndex, Clips

GAIN = 4  # of the difference images: micro-expressions are faint
SIDE = 128  # of a picture on the page

PAGE = jinja2.Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ name }}: what the networks see</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
figure { margin: 0 0 1.5em } figcaption { margin-bottom: .3em } img { image-rendering: pixelated; max-width: 100% }
.private { border-left: 4px solid #b00; padding-left: .8em }
</style>
<h1>{{ name }}: what the networks see</h1>
<p class="private">This page shows faces. Datasets' licences forbid passing them on: it stays on this computer.</p>
<p>{{ sheets | length }} clips, the worst alignments first. Of each: onset, apex, offset, and |apex - onset| times
{{ gain }}; a row for each of {{ masters | join(", ") }}. <em>Misalignment</em> is the median over the first row's
pixels of the difference to the onset frame, at the apex or the offset, in percent of that frame's standard deviation:
an expression changes a part of a face, a shift changes all of it.</p>
{% for sheet in sheets %}<figure>
<figcaption><b>{{ sheet.clip }}</b>, subject {{ sheet.subject }}, {{ sheet.label }}; {{ sheet.frames }} frames, apex
{{ sheet.apex }}{{ "" if sheet.annotated else " (the middle: none is annotated)" }}; misalignment
{{ "%.0f" | format(sheet.misalignment) }} %; {{ sheet.source }}</figcaption>
<img src="{{ sheet.picture }}" alt="{{ sheet.clip }}" loading="lazy">
</figure>
{% endfor %}</html>
""")


@dataclass(frozen=True)
class Sheet:
    """A clip on the page. Frames are counted from its onset."""

    clip: str
    subject: str
    label: str
    frames: int
    apex: int
    annotated: bool
    misalignment: float  # percent
    source: str
    picture: str  # file, relative to the page


def write(index: ClipIndex, clips: Clips, masters: Sequence[str], folder: Path) -> Path:
    """The contact sheet of clips, as index.html with a picture for each clip beside it; the page's path."""
    from PIL import Image

    (folder / "clips").mkdir(parents=True, exist_ok=True)
    sheets = []
    for number, source in enumerate(index.table["source"].to_pylist()):
        moments = key_frames(clips, number)
        rows = [clips.pixels[master][clips.first[number] + np.array(moments)] for master in masters]
        picture = f"clips/{number:04}.png"
        Image.fromarray(np.concatenate([tiles(row) for row in rows])).save(folder / picture)
        sheets.append(
            Sheet(
                str(clips.ids[number]),
                str(clips.subjects[number]),
                clips.classes[clips.labels[number]],
                int(clips.frames[number]),
                moments[1],
                bool(clips.apex[number] >= 0),
                misalignment(rows[0]),
                source,
                picture,
            )
        )
    sheets.sort(key=lambda sheet: (-sheet.misalignment, sheet.clip))
    page = folder / "index.html"
    page.write_text(PAGE.render(name=index.name, sheets=sheets, masters=masters, gain=GAIN), encoding="utf-8")
    return page


def key_frames(clips: Clips, number: int) -> tuple[int, int, int]:
    """Onset, apex (the middle where none is annotated) and offset of a clip, counted from its onset."""
    last = int(clips.frames[number]) - 1
    apex = int(clips.apex[number])
    return 0, apex if apex >= 0 else last // 2, last


def misalignment(moments: npt.NDArray[np.uint8]) -> float:
    """Of onset, apex and offset [3, S, S]: the median difference to the onset, in percent of its standard deviation."""
    onset, *later = moments.astype(np.float64)
    shift = max(float(np.median(np.abs(frame - onset))) for frame in later)
    return 100 * shift / max(float(onset.std()), 1.0)


def tiles(moments: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Onset, apex, offset and the difference side by side, uint8 [SIDE, 4 SIDE]."""
    difference = np.abs(moments[1].astype(np.int16) - moments[0]) * GAIN
    four = np.stack([*moments, np.minimum(difference, 255).astype(np.uint8)])
    places = np.arange(SIDE) * four.shape[1] // SIDE
    return np.concatenate(list(four[:, places[:, None], places]), axis=1)
