import itertools

import numpy as np
import pytest

from analysis.questions.ablation import ablations
from analysis.questions.ablation_path import path
from analysis.questions.ablation_path import table as path_table
from analysis.questions.effects import answer, effects, table
from analysis.questions.variance_components import components
from analysis.questions.variance_components import table as variance_table
from analysis.stats.confusion import confusions
from analysis.stats.metrics import uf1

# UF1-like shares of right clips of a 2^3 design: depth and frames help, together more; input does nothing.
SKILL = {(d, f, g): 0.3 + 0.2 * d + 0.1 * f + 0.15 * d * f for d in (0, 1) for f in (0, 1) for g in (0, 1)}


@pytest.fixture(scope="module")
def factorial(simulate, arm):
    def made(leave_out=(), **options):
        arms = []
        for (d, f, g), skill in SKILL.items():
            changes = {"depth": 1 + d, "frames": 8 + 4 * f, "input": ["flow", "gray"][g]}
            name = "baseline" if (d, f, g) == (0, 0, 0) else f"d{d}f{f}g{g}"
            if (d, f, g) not in leave_out:
                arms.append(arm(name, skill, changes))
        return simulate(tuple(arms), **options).results()

    return made


def scores(results):
    """Pooled UF1 by (depth, frames, input) as 0 or 1."""
    counted, found = confusions(results), {}
    for trials in itertools.groupby(results.trials, key=lambda t: t.arm):
        own = list(trials[1])
        level = own[0].factors
        key = (level["depth"] - 1, (level["frames"] - 8) // 4, int(level["input"] == "gray"))
        found[key] = float(uf1(counted.of([t.trial for t in own]).sum(0)).mean())
    return found


def test_two_to_the_three_identities(factorial):
    results = factorial()
    found = effects(results, ablations(results)[-1])
    u = scores(results)
    by_name = {frozenset(e.factors): e for e in found.effects}
    assert found.complete and found.configurations == 8 and len(found.effects) == 6 and not found.aliased
    for i, factor in enumerate(("depth", "frames", "input")):
        high, low = (np.mean([v for k, v in u.items() if k[i] == level]) for level in (1, 0))
        assert by_name[frozenset([factor])].difference == pytest.approx(high - low)
    for (i, a), (j, b) in itertools.combinations(enumerate(("depth", "frames", "input")), 2):
        cell = {(x, y): np.mean([v for k, v in u.items() if (k[i], k[j]) == (x, y)]) for x in (0, 1) for y in (0, 1)}
        assert by_name[frozenset([a, b])].difference == pytest.approx(cell[1, 1] - cell[0, 1] - cell[1, 0] + cell[0, 0])


def test_planted_effects_and_their_interaction_are_found(factorial):
    results = factorial(subjects=16)
    found = effects(results, ablations(results)[-1])
    seen = {e.factors: e for e in found.effects}
    assert seen["depth",].p_adjusted < 0.05 and seen["frames",].p_adjusted < 0.05 and seen["depth", "frames"].p < 0.05
    assert seen["input",].p_adjusted > 0.05 and abs(seen["input",].difference) < 0.03
    assert seen["depth",].low < seen["depth",].difference < seen["depth",].high
    assert "depth 1 → 2" in answer(found) and "input" not in answer(found).split("Factors act together")[0]
    shown = table(found)
    assert shown.rows[0].cells[0].text == "depth 1 → 2" and "step-down max-T over the 6 rows" in shown.caption


def test_with_a_combination_missing_effects_are_adjusted_not_averaged(factorial):
    results = factorial(leave_out={(1, 1, 1)})
    found = effects(results, ablations(results)[-1])
    assert not found.complete and "by least squares" in table(found).caption
    assert not found.swapped and "jackknife" in table(found).caption
    u = scores(results)
    design = np.array([[1, *key] for key in u])
    expected = np.linalg.lstsq(design, np.array(list(u.values())), rcond=None)[0]
    by_name = {e.factors[0]: e.difference for e in found.main}
    assert [by_name[name] for name in ("depth", "frames", "input")] == pytest.approx(expected[1:])


def test_what_the_design_cannot_tell_is_named(simulate, arm):
    """Frames and kernel only ever change together; depth is crossed with both."""
    base = {"depth": 1, "frames": 8, "kernel": 1}
    cells = [base, {**base, "depth": 2}, {**base, "frames": 12, "kernel": 3}, {"depth": 2, "frames": 12, "kernel": 3}]
    results = simulate(tuple(arm(f"a{i}" if i else "baseline", 0.5, cell) for i, cell in enumerate(cells))).results()
    found = effects(results, ablations(results)[-1])
    assert [e.factors for e in found.effects] == [("depth",)]
    assert found.aliased[:2] == ("frames 12", "kernel 3")
    assert any("aliased" in note for note in table(found).notes)


def designed_by(simulate, arm, cells, names):
    changes = [dict(zip(names, cell, strict=True)) for cell in cells]
    arms = tuple(arm("baseline" if i == 0 else f"a{i}", 0.5, own) for i, own in enumerate(changes))
    results = simulate(arms).results()
    return effects(results, ablations(results)[-1])


def test_in_a_half_fraction_a_main_effect_takes_up_an_interaction_and_says_so(simulate, arm):
    """C = A B: four configurations, where C is the interaction of the two others, and each of them of the others."""
    cells = [(1, 1, 2), (2, 1, 1), (1, 2, 1), (2, 2, 2)]
    found = designed_by(simulate, arm, cells, ("depth", "frames", "kernel"))
    assert [e.factors for e in found.effects] == [("depth",), ("frames",), ("kernel",)] and not found.complete
    assert found.absorbed["kernel 2 → 1"] == ("depth 2 × frames 2",)
    assert found.absorbed["depth 1 → 2"] == ("frames 2 × kernel 1",)
    notes = table(found).notes
    assert "kernel 2 → 1: takes up depth 2 × frames 2; right only without them." in notes
    assert answer(found).startswith("If there are no interactions") and "cannot tell" in answer(found)


def test_clear_main_effects_take_up_nothing(simulate, arm, factorial):
    """D = A B C: main effects of this half fraction are apart from every two-way interaction; so in a complete one."""
    cells = [(a, b, c, 1 + (a + b + c) % 2) for a in (1, 2) for b in (1, 2) for c in (1, 2)]
    found = designed_by(simulate, arm, cells, ("depth", "frames", "kernel", "hidden"))
    assert len(found.main) == 4 and not found.complete and not found.absorbed and found.aliased
    results = factorial()
    assert not effects(results, ablations(results)[-1]).absorbed


def test_with_a_combination_missing_every_main_effect_is_conditional(factorial):
    results = factorial(leave_out={(1, 1, 1)})
    found = effects(results, ablations(results)[-1])
    assert len(found.absorbed) == 3 and answer(found).startswith("If there are no interactions")


def test_a_one_at_a_time_table_has_no_effects_of_its_own(simulate, arm):
    results = simulate((arm("baseline", 0.7), arm("depth=2", 0.6, {"depth": 2}), arm("late", 0.5, {"fusion": "late"})))
    found = ablations(results.results())[-1]
    assert effects(results.results(), found) is None and path(results.results(), found) is None


class TestPath:
    def test_greedy_over_what_was_run(self, factorial):
        results = factorial(subjects=16)
        found = path(results, ablations(results)[-1])
        u = scores(results)
        best, at, expected = max(u, key=u.get), (0, 0, 0), []
        while at != best:
            options = [(*at[:i], best[i], *at[i + 1 :]) for i in range(3) if at[i] != best[i]]
            at = max(options, key=u.get)
            expected.append(u[at])
        assert found.reached and found.start == pytest.approx(u[0, 0, 0])
        assert [step.uf1 for step in found.steps] == pytest.approx(expected)
        total = sum(step.comparison.difference for step in found.steps)
        assert total == pytest.approx(found.steps[-1].uf1 - found.start)
        assert len(path_table(found).rows) == 1 + len(found.steps)

    def test_a_gap_on_the_way_is_told(self, factorial):
        """From 000 to 110 in steps of one when only 100 and the end are there; to 111 the last step is missing."""
        results = factorial(leave_out=set(SKILL) - {(0, 0, 0), (1, 0, 0), (1, 1, 0)})
        assert path(results, ablations(results)[-1]).reached
        results = factorial(leave_out=set(SKILL) - {(0, 0, 0), (0, 0, 1), (1, 1, 1)})
        found = path(results, ablations(results)[-1])
        assert not found.reached and len(found.steps) == 1 and "path ends early" in path_table(found).notes[0]
        results = factorial(leave_out=set(SKILL) - {(0, 0, 0), (1, 1, 1)})
        assert path(results, ablations(results)[-1]) is None


class TestVariance:
    def test_known_components_come_back(self):
        """Accuracy of many clips a subject made of known normal parts."""
        generator = np.random.default_rng(6)
        n, m, s, clips = 150, 60, 4, 4000
        sd = {"subject": 0.10, "configuration": 0.04, "crossed": 0.05, "run": 0.02}
        x = 0.5 + sd["subject"] * generator.standard_normal((1, n, 1))
        x = x + sd["configuration"] * generator.standard_normal((m, 1, 1))
        x = x + sd["crossed"] * generator.standard_normal((m, n, 1)) + sd["run"] * generator.standard_normal((m, 1, s))
        right = np.round(clips * np.clip(x, 0, 1)).astype(np.int64)
        counts = np.zeros((m, n, s, 2, 2), dtype=np.int64)
        counts[..., 0, 0], counts[..., 0, 1] = right, clips - right
        found = {c.source: c.variance for c in components(counts)}
        assert found["subject"] == pytest.approx(0.01, rel=0.25)
        assert found["configuration"] == pytest.approx(0.0016, rel=0.5)
        assert found["subject × configuration"] == pytest.approx(0.0025, rel=0.1)
        assert found["seed (a whole run)"] == pytest.approx(0.0004, rel=0.2)
        assert found["seed within subject, and clips"] < 1e-6
        assert sum(c.share for c in components(counts)) == pytest.approx(1)

    def test_too_few_are_refused(self):
        with pytest.raises(ValueError, match="2 subjects, configurations and seeds"):
            components(np.ones((1, 5, 3, 2, 2), dtype=int))

    def test_table_of_a_study(self, factorial):
        shown = variance_table(ablations(factorial())[-1])
        assert len(shown.rows) == 5 and "8 configurations" in shown.caption
