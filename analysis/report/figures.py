"""Figures by matplotlib, without its global state, and with the same bytes every time."""

import io
import textwrap
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.questions.ablation import Ablation, Finding
from analysis.questions.effects import Effects
from analysis.questions.importance import Importances
from analysis.questions.pareto import Point
from analysis.stats.confusion import Counts
from analysis.stats.inference import Comparison
from analysis.stats.metrics import Floats, accuracy
from analysis.stats.scores import Score
from analysis.tables import interval, number

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,  # a $ in a name is a $
    "svg.hashsalt": "losolab",
    "svg.fonttype": "path",  # no font of the reader's machine is needed
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}
COLOURS = {"variant": "#1f4e79", "null": "#888888", "control": "#b35900"}
ROWS = 20
LINE = 38  # letters of a name beside a figure, beyond which it goes on below
HEIGHT = 0.16  # inches of a further line
MARKERS = {"variant": "o", "null": "D", "control": "s"}


def forest(found: Ablation) -> Figure:
    """Differences to the baseline with their 95 % intervals (thick) and joint intervals (thin)."""
    rows = [(finding, finding.comparison) for finding in found.findings if finding.comparison]
    base = {"null": " (one repetition)", "control": " (control)", "variant": ""}
    names = [wrapped(f"{finding.arm.arm}{base[finding.kind]}") for finding, _ in rows]
    places, bottom = _places(names)
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.35 + 0.32 * (bottom + 0.5)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvspan(-found.margin, found.margin, color="#dfe9df", linewidth=0, zorder=0)
        axes.axvline(0, color="#444444", linewidth=0.8, zorder=1)
        for y, (finding, seen) in zip(places, rows, strict=True):
            _row(axes, y, finding, seen)
        axes.set_yticks(places, names)
        axes.set_ylim(bottom + 0.1, -0.6)
        _frame(axes, found.centre, found.margin)
    return figure


def wrapped(name: str, line: int = LINE) -> str:
    """A name on as many lines as it needs; signs of double width count twice."""
    wide = any(unicodedata.east_asian_width(character) in "WF" for character in name)
    return textwrap.fill(name, line // 2 if wide else line, break_on_hyphens=False) or name


def _places(names: Sequence[str]) -> tuple[list[float], float]:
    """Where rows of so many lines have their middle, in rows of one line, and where the last one ends."""
    heights = [1 + name.count("\n") * HEIGHT / 0.32 for name in names]
    ends = np.cumsum(heights) - 0.5
    return [float(end - height / 2) for end, height in zip(ends, heights, strict=True)], float(ends[-1])


def svg(figure: Figure) -> str:
    """The figure as an <svg> element to stand inside HTML."""
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    drawing = _saved(figure, format="svg", metadata=metadata).decode()
    return drawing[drawing.index("<svg") :]


def pdf(figure: Figure) -> bytes:
    """The figure as a PDF for a paper."""
    return _saved(figure, format="pdf", metadata={"CreationDate": None})


def png(figure: Figure) -> bytes:
    """The figure as a PNG, 200 dots an inch, for slides and trackers."""
    return _saved(figure, format="png", dpi=200, metadata={"Software": None})


def _saved(figure: Figure, **how: Any) -> bytes:
    """The bytes of a figure. Characters without a font are told once by the report, not at every figure."""
    out = io.BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(out, **how)
    return out.getvalue()


def _row(axes: Axes, y: float, finding: Finding, seen: Comparison) -> None:
    """One arm: intervals, point, and the numbers of the table at the right."""
    colour = COLOURS[finding.kind]
    if seen.shown[1] is not None:
        if seen.joint:
            axes.hlines(y, *seen.joint, color=colour, linewidth=0.8)
        axes.hlines(y, seen.low, seen.high, color=colour, linewidth=2.4, alpha=0.85)
    filled = finding.kind == "variant"
    axes.plot(seen.difference, y, MARKERS[finding.kind], color=colour, markerfacecolor=colour if filled else "white")
    words = f"{interval(seen.shown, signed=True).text:24}{number(seen.p_adjusted, 4).text}"
    axes.text(
        1.02, y, words, transform=axes.get_yaxis_transform(), va="center", family="monospace", fontsize=8, color=colour
    )


def _frame(axes: Axes, centre: str, margin: float) -> None:
    """Direction, and what the columns mean."""
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"ΔUF1 to the {centre} (left: worse); band: ±{margin:g}, of no practical matter")
    axes.text(
        1.02, -0.75, "Δ [95 % CI]             p adj", transform=axes.get_yaxis_transform(), va="bottom", fontsize=8,
        family="monospace",
    )  # fmt: skip


def matrices(panels: Mapping[str, Counts], classes: Sequence[str], name: str) -> Figure:
    """Confusions of one configuration, a panel a dataset: [N, S, K, K] each. Shares of a row, counts a seed below."""
    with rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 2.7 * len(panels), 3.2), layout="constrained")
        for i, (title, counts) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), i + 1)
            _matrix(axes, counts.sum(0).mean(0), classes)
            axes.set_title(wrapped(title), fontsize=9)
            axes.set_ylabel("true" if i == 0 else "")
        figure.suptitle(wrapped(name, 24 + 16 * len(panels)), fontsize=9)
    return figure


def subjects(found: Ablation, base: Score, names: Sequence[tuple[str, str]]) -> Figure:
    """Clips that each arm has more (blue) or fewer (red) right than the baseline, by subject.

    Subjects by dataset, then by the baseline's accuracy; at most ROWS arms, those of the largest differences.
    """
    rows = [(f, f.score) for f in found.findings if f.comparison and f.score]
    rows = sorted(rows, key=lambda row: -abs(row[0].comparison.difference if row[0].comparison else 0))[:ROWS]
    of = accuracy(base.counts).mean(1)
    order = sorted(range(len(names)), key=lambda i: (names[i][0], -of[i], names[i]))
    right = [np.trace(s.counts, axis1=-2, axis2=-1).mean(1) for s in (base, *(score for _, score in rows))]
    differences = np.array([(own - right[0])[order] for own in right[1:]])
    arms = [wrapped(f.arm.arm) for f, _ in rows]
    height = max(0.28, *(HEIGHT * (1 + arm.count("\n")) for arm in arms))
    beside = 0.06 * max(len(line) for arm in arms for line in arm.split("\n"))
    with rc_context(STYLE):
        size = max(5.5, 2.5 + 0.16 * len(names), 3.5 + beside), 1.5 + height * len(rows)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        limit = max(1.0, float(np.abs(differences).max()))
        drawn = axes.pcolormesh(differences, cmap="RdBu", vmin=-limit, vmax=limit, edgecolors="white", linewidth=0.4)
        axes.set_yticks(np.arange(len(rows)) + 0.5, arms)
        axes.set_xticks(np.arange(len(names)) + 0.5, [wrapped(names[i][1], 24) for i in order], rotation=90, fontsize=6)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        bar = figure.colorbar(drawn, ax=axes, label="clips, mean over seeds", shrink=0.8)
        if bar.solids is not None:
            bar.solids.set_rasterized(False)  # an image would be a link inside the SVG
    return figure


def effects(found: Effects) -> Figure:
    """Effects of factors with their 95 % intervals; interactions in grey."""
    names = [wrapped(effect.name) for effect in found.effects]
    places, bottom = _places(names)
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.2 + 0.3 * (bottom + 0.5)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvspan(-found.margin, found.margin, color="#dfe9df", linewidth=0, zorder=0)
        axes.axvline(0, color="#444444", linewidth=0.8, zorder=1)
        for y, effect in zip(places, found.effects, strict=True):
            colour = COLOURS["variant" if len(effect.factors) == 1 else "null"]
            axes.hlines(y, effect.low, effect.high, color=colour, linewidth=2.4)
            axes.plot(effect.difference, y, "o", color=colour)
        axes.set_yticks(places, names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(bottom + 0.1, -0.6)
        axes.set_xlabel(f"ΔUF1; band: ±{found.margin:g}, of no practical matter; grey: interactions")
    return figure


def importances(found: Importances) -> Figure:
    """Shares with their spread over subjects, and each one's noise floor as a tick."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 1.2 + 0.3 * len(found.found)), layout="constrained")
        axes = figure.add_subplot()
        for y, one in enumerate(found.found):
            colour = COLOURS["variant" if one.above_noise else "null"]
            axes.barh(y, one.share, height=0.55, color=colour, alpha=0.55)
            axes.hlines(y, one.low, one.high, color=colour, linewidth=2)
            axes.vlines(one.floor, y - 0.38, y + 0.38, color=COLOURS["control"], linewidth=2)
        axes.set_yticks(range(len(found.found)), [one.factor for one in found.found])
        axes.set_ylim(len(found.found) - 0.4, -0.6)
        axes.set_xlabel("share of the variance (line: spread; orange tick: noise floor)")
    return figure


def front(points: Sequence[Point]) -> Figure:
    """UF1 against the first size of a search's complete trials; a line joins the front, the others are grey."""
    name = next(iter(points[0].sizes))
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        beaten = [point for point in points if not point.on_front]
        axes.plot([p.sizes[name] for p in beaten], [p.uf1 for p in beaten], "o", color=COLOURS["null"], markersize=4)
        best = sorted((point for point in points if point.on_front), key=lambda point: (point.sizes[name], point.uf1))
        axes.plot([p.sizes[name] for p in best], [p.uf1 for p in best], "o-", color=COLOURS["variant"], markersize=5)
        for point in best:
            axes.annotate(
                f"trial {point.trial}", (point.sizes[name], point.uf1), (4, 4), textcoords="offset points", fontsize=7
            )
        axes.set_xscale("log")
        axes.set_xlabel(name.replace("_", "-"))
        axes.set_ylabel("UF1 (naive)")
        axes.spines["left"].set_visible(True)
    return figure


def _matrix(axes: Axes, counts: Floats, classes: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    for (t, p), share in np.ndenumerate(shares):
        ink = "white" if share > 0.55 else "#1c2430"
        axes.text(p + 0.5, t + 0.45, f"{100 * share:.0f} %", ha="center", va="center", color=ink, fontsize=9)
        axes.text(p + 0.5, t + 0.75, f"{counts[t, p]:.4g}", ha="center", va="center", color=ink, fontsize=6)
    middles = np.arange(len(classes)) + 0.5
    names = [wrapped(name, 20) for name in classes]
    axes.set_xticks(middles, names, rotation=30, ha="right", fontsize=7)
    axes.set_yticks(middles, names, fontsize=7)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.invert_yaxis()
