"""Figures by matplotlib, without its global state, and with the same bytes every time."""

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.ablation import Ablation, Finding
from analysis.inference import ROPE, Comparison
from analysis.tables import interval, number

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.hashsalt": "losolab",
    "svg.fonttype": "path",  # no font of the reader's machine is needed
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}
COLOURS = {"variant": "#1f4e79", "null": "#888888", "control": "#b35900"}
MARKERS = {"variant": "o", "null": "D", "control": "s"}


def forest(found: Ablation) -> Figure | None:
    """Differences to the baseline with their 95 % intervals (thick) and joint intervals (thin); None without any."""
    rows = [(finding, finding.comparison) for finding in found.findings if finding.comparison]
    if not rows:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.35 + 0.32 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvspan(-ROPE, ROPE, color="#dfe9df", linewidth=0, zorder=0)
        axes.axvline(0, color="#444444", linewidth=0.8, zorder=1)
        for y, (finding, seen) in enumerate(rows):
            _row(axes, y, finding, seen)
        _frame(axes, [finding for finding, _ in rows])
    return figure


def svg(figure: Figure) -> str:
    """The figure as an <svg> element to stand inside HTML."""
    out = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing = out.getvalue()
    return drawing[drawing.index("<svg") :]


def pdf(figure: Figure) -> bytes:
    """The figure as a PDF for a paper."""
    out = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(out, format="pdf", metadata={"CreationDate": None})
    return out.getvalue()


def png(figure: Figure) -> bytes:
    """The figure as a PNG, 200 dots an inch, for slides and trackers."""
    out = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(out, format="png", dpi=200, metadata={"Software": None})
    return out.getvalue()


def _row(axes: Axes, y: int, finding: Finding, seen: Comparison) -> None:
    """One arm: intervals, point, and the numbers of the table at the right."""
    colour = COLOURS[finding.kind]
    if seen.joint:
        axes.hlines(y, *seen.joint, color=colour, linewidth=0.8)
    axes.hlines(y, seen.low, seen.high, color=colour, linewidth=2.4, alpha=0.85)
    filled = finding.kind == "variant"
    axes.plot(seen.difference, y, MARKERS[finding.kind], color=colour, markerfacecolor=colour if filled else "white")
    words = f"{interval((seen.difference, seen.low, seen.high), signed=True).text:24}{number(seen.p_adjusted, 4).text}"
    axes.text(
        1.02, y, words, transform=axes.get_yaxis_transform(), va="center", family="monospace", fontsize=8, color=colour
    )


def _frame(axes: Axes, rows: list[Finding]) -> None:
    """Names, direction, and what the columns mean."""
    base = {"null": " (noise floor)", "control": " (control)", "variant": ""}
    axes.set_yticks(range(len(rows)), [f"{finding.arm.arm}{base[finding.kind]}" for finding in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"ΔUF1 to the baseline (left: worse); band: ±{ROPE}, of no practical matter")
    axes.text(
        1.02, -0.75, "Δ [95 % CI]             p adj", transform=axes.get_yaxis_transform(), va="bottom", fontsize=8,
        family="monospace",
    )  # fmt: skip
