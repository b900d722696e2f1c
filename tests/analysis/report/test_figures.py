import copy
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.questions.ablation import ablations
from analysis.report import figures, fonts
from analysis.report.report import report
from analysis.stats.confusion import confusions


def test_svg_is_the_same_every_time_and_stands_alone(simulate):
    found = ablations(simulate().results())[-1]
    first, second = (figures.svg(figures.forest(found)) for _ in range(2))
    assert first == second and first.startswith("<svg")
    assert "<!DOCTYPE" not in first and "<metadata" not in first
    assert ElementTree.fromstring(first).tag.endswith("svg")


def test_pdf_and_png(simulate):
    found = ablations(simulate().results())[-1]
    assert figures.pdf(figures.forest(found)).startswith(b"%PDF")
    assert figures.pdf(figures.forest(found)) == figures.pdf(figures.forest(found))
    assert figures.png(figures.forest(found)).startswith(b"\x89PNG")


def test_nothing_to_draw_without_comparisons(simulate, arm):
    drawings = report(simulate((arm("alone", 0.5),)).results()).drawings()
    assert [drawing.name for drawing in drawings] == ["ablate-confusions"]


def test_no_figure_is_drawn_before_it_is_asked_for_and_each_once(simulate, arms, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "Figure", lambda **options: drawn.append(1) or Figure(**options))
    drawings = report(simulate(arms).results()).drawings()
    assert not drawn
    assert drawings[0].figure is drawings[0].figure and len(drawn) == 1


def test_every_figure_of_a_report_is_vector_and_the_same_every_time(simulate, arms):
    study = copy.deepcopy(simulate(arms))
    for row in study.predictions:
        row["dataset"] = "smic" if row["subject"] < "s05" else "casme2"
    results = study.results()
    drawings, again = report(results).drawings(), report(results).drawings()
    assert [d.name for d in drawings] == ["ablate-forest", "ablate-confusions", "ablate-subjects"]
    for drawing, other in zip(drawings, again, strict=True):
        assert drawing.svg() == other.svg() and "<image" not in drawing.svg()
    panels = drawings[1].figure.axes
    assert [axes.get_title() for axes in panels] == ["all clips", "casme2", "smic"]


def test_a_matrix_shows_shares_of_the_true_class():
    counts = np.array([[[[3, 1], [0, 4]]], [[[1, 3], [2, 2]]]])
    drawn = figures.matrices({"all": counts}, ("a", "b"), "x")
    texts = [text.get_text() for text in drawn.axes[0].texts]
    assert texts == ["50 %", "4", "50 %", "4", "25 %", "2", "75 %", "6"]


def test_differences_by_subject_are_of_clips(simulate, arm):
    results = simulate((arm("baseline", 0.7), arm("other", 0.4))).results()
    found, counted = ablations(results)[-1], confusions(results)
    drawn = figures.subjects(found, found.baseline.score, counted.subjects)
    shown = drawn.axes[0].collections[0].get_array().ravel()
    right = [np.trace(f.score.counts, axis1=-2, axis2=-1).mean(1) for f in found.findings]
    assert sorted(shown) == pytest.approx(sorted(right[1] - right[0]))


def test_a_dollar_in_a_name_is_a_dollar(simulate, arm):
    results = simulate((arm("baseline", 0.7), arm("$loss^$ {x_", 0.4, {"depth": 2}))).results()
    drawings = report(results).drawings()
    assert all(drawing.svg().startswith("<svg") for drawing in drawings) and len(drawings) == 3
    assert figures.pdf(drawings[0].figure).startswith(b"%PDF")


def test_long_names_leave_the_plot_its_room(simulate, arm):
    long = "architecture=fusion_intermediate, kernel_time=15, learning_rate=0.0031, depth=2"
    results = simulate((arm("baseline", 0.7), arm(long, 0.4, {"depth": 2}), arm("x" * 74, 0.4))).results()
    for drawing in report(results).drawings():
        drawing.figure.canvas.draw()
        assert drawing.figure.axes[0].get_position().width > 0.3, drawing.name
    assert "kernel_time=15" in figures.wrapped(long) and max(map(len, figures.wrapped(long).split("\n"))) <= 38


def test_signs_that_the_usual_font_lacks_are_drawn_with_another_or_told_once(simulate, arm, recwarn):
    assert fonts.fallbacks("café Δ α ±") == ((), "")
    families, missing = fonts.fallbacks("a 𝓐")  # of STIX, which matplotlib brings
    assert missing == "" and families and all("Last Resort" not in family for family in families)
    name = "微表"
    made = report(simulate((arm("baseline", 0.7), arm(name, 0.4, {"depth": 2}))).results())
    told = [warning for warning in made.warnings if "boxes" in warning]
    assert len(told) == bool(fonts.without_font(name)) and all("微" in warning for warning in told)
    for drawing in made.drawings():
        drawing.svg()
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
