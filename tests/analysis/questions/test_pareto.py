"""The Pareto front: a known answer, ties, and the report's section."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.questions import pareto as module
from analysis.questions.pareto import Point, against_smallest, answer, pareto, smallest, table
from analysis.report.report import report
from analysis.stats.confusion import confusions
from analysis.stats.inference import compare


@pytest.fixture
def results(simulate, arm):
    """Four proposals of a search, two of them beaten, beside an arm."""
    made = simulate((arm("baseline", 0.5), *(arm(name, 0.5, stage="search", seeds=(9,)) for name in "abcd"))).results()
    sizes = {"a": 400, "b": 300, "c": 300, "d": 100}
    trials = [replace(t, arm=None, parameters=sizes[t.arm]) if t.stage == "search" else t for t in made.trials]
    arms = tuple(arm for arm in made.metadata.arms if arm.stage != "search")
    about = replace(made.metadata, objectives=("uf1", "parameters"), arms=arms)
    return replace(made, trials=tuple(trials), metadata=about)


def test_the_front_is_what_none_beats(results, monkeypatch):
    found = {t.parameters: t.trial for t in results.trials if t.stage == "search"}
    by_trial = dict(zip([t.trial for t in results.trials if t.stage == "search"], (0.7, 0.8, 0.6, 0.5), strict=True))
    monkeypatch.setattr(module, "uf1", lambda pooled: pooled)
    points = pareto(results, SimpleNamespace(of=lambda trials: np.array([[by_trial[trials[0]]]])))
    assert [(p.uf1, p.sizes["parameters"], p.on_front) for p in points] == [
        (0.8, 300, True),
        (0.5, 100, True),
        (0.7, 400, False),
        (0.6, 300, False),
    ]
    assert points[1].trial == found[100]
    assert [row.cells[1].text for row in table(points, {}, "").rows] == ["0.800", "0.500"]
    assert "reaches UF1 0.800 with 300 parameters" in answer(points, {})


def test_equals_are_both_on_the_front_and_one_that_is_best_in_all_is_alone():
    assert module._front([(-0.8, 300), (-0.8, 300), (-0.7, 300), (-0.8, 301), (-0.7, 10)]) == {(-0.8, 300), (-0.7, 10)}
    alone = [Point(3, 0.8, {"parameters": 10}, True), Point(4, 0.7, {"parameters": 20}, False)]
    assert answer(alone, {}) == "Nothing: trial 3 has the highest UF1, 0.800, and the fewest parameters."


def test_the_report_has_a_section_of_it_where_sizes_were_objectives(results):
    made = report(results)
    assert "pareto" in [table.name for table in made.tables()]
    assert "pareto-front" in [drawing.name for drawing in made.drawings()]
    alone = report(replace(results, metadata=replace(results.metadata, objectives=("uf1",))))
    assert "pareto" not in [table.name for table in alone.tables()]


def test_the_front_is_compared_with_its_smallest(results):
    counted = confusions(results)
    points = pareto(results, counted)
    front = [point.trial for point in points if point.on_front]
    small = smallest(points).trial
    others = {str(trial): counted.of([trial]) for trial in front if trial != small}
    again = compare(counted.of([small]), others, others.keys())
    assert against_smallest(points, counted) == {int(trial): seen for trial, seen in again.items()}
    rows = table(points, against_smallest(points, counted), "").rows
    assert [row.cells[-1].values[0] for row in rows if row.cells[0].values[0] != small] == [
        seen.p_adjusted for seen in again.values()
    ]
