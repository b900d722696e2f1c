from xml.etree import ElementTree

from analysis import figures
from analysis.ablation import ablations


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
    assert figures.forest(ablations(simulate((arm("alone", 0.5),)).results())[-1]) is None
