"""What search, confirm and ablate claim where there is nothing to find: bounds of the calibration in docs/report.md.

The soak takes 2,000 studies of every cell of benchmarks.claims, CI 200 of three cells, with three standard errors more.
"""

import os
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest

from analysis.stats import inference
from analysis.stats.contrasts import by_swaps
from analysis.stats.inference import compare
from analysis.stats.metrics import uf1
from benchmarks import claims, copula_tables, score_tables
from benchmarks.score_tables import POPULATION, SKILL, runs

WHOLE = bool(os.environ.get("LOSOLAB_SOAK"))
STUDIES = 2000 if WHOLE else 120
CELLS = list(claims.cells()) if WHOLE else [(12, 20, True), (60, 26, False), (60, 68, True)]
KINDS = list(claims.GENERATORS)

pytestmark = pytest.mark.slow


def slack(share: float) -> float:
    """Three standard errors of a share in CI's studies; none in the soak."""
    return 0.0 if WHOLE else 3 * np.sqrt(share * (1 - share) / STUDIES)


@cache
def cell(kind: str, tried: int, size: int, raced: bool, share: bool) -> claims.Cell:
    found = claims.cell(STUDIES, tried, size, raced, share, kind)
    words = f"{kind}, K = {tried}, {size} subjects, {'raced' if raced else 'all complete'}"
    print(f"\n  {words}, chosen by {'a share' if share else 'all'}, {STUDIES} studies: {found}")
    return found


@pytest.mark.parametrize("kind", KINDS if WHOLE else KINDS[:1])
def test_subjects_without_a_vote_keep_the_level(kind):
    found = [cell(kind, *one, True) for one in CELLS]
    errors = [error for one in found for error in (one.better, one.worse)]
    assert np.mean(errors) <= 0.06 + slack(0.06) / np.sqrt(len(errors)) and max(errors) <= 0.075 + slack(0.075)
    coverage = [one.coverage for one in found]
    assert np.mean(coverage) >= 0.93 - slack(0.07) / np.sqrt(len(coverage)) and min(coverage) >= 0.91 - slack(0.09)
    assert max(abs(one.bias) for one in found) < 0.01 + (0 if WHOLE else 3 * 0.04 / np.sqrt(STUDIES))


@pytest.mark.parametrize("kind", KINDS if WHOLE else KINDS[1:])
def test_where_all_choose_the_corrected_difference_is_that(kind):
    for tried, size, raced in CELLS:
        found = cell(kind, tried, size, raced, False)
        assert abs(found.corrected) <= (0.02 if raced else 0.015) + (0 if WHOLE else 3 * 0.06 / np.sqrt(STUDIES))
        assert found.corrected_coverage >= 0.90 - slack(0.1)
        assert found.called <= 0.05 + slack(0.05), "raced or not: what was pruned keeps its share of the level"


@pytest.mark.parametrize("size", [12, 26] if WHOLE else [26])
def test_the_detectable_difference_is_found_in_four_studies_of_five(size):
    """One of seven variants is truly better, by the minimum that studies of equal variants print."""
    grid = np.linspace(0, 3, 16)
    known = [_truth(size, SKILL + more) - _truth(size, SKILL) for more in grid]
    printed = np.mean([np.median([c.detectable for c in _compared(size, key, 0.0).values()]) for key in range(40)])
    more = float(np.interp(printed, known, grid))
    found = np.mean([_compared(size, 10_000 + key, more)["1"].verdict == "better" for key in range(STUDIES)])
    print(f"\n  {size} subjects, 7 variants, 3 seeds: printed {printed:.3f}, found in {found:.3f} of {STUDIES} studies")
    assert 0.75 - slack(0.75) <= found <= 0.85 + slack(0.85)


def _compared(size, key, more):
    counts = score_tables.drawn(size, [claims.SEED, size, key], [SKILL, SKILL + more, *[SKILL] * 6], 3)
    arms = {str(i): counts[i] for i in range(1, 8)}
    return compare(counts[0], arms, arms.keys(), claims.few(size))


@cache
def _truth(size, skill):
    generator, total = np.random.default_rng([claims.SEED, size]), np.zeros((3, 3))
    population = POPULATION[min(known for known in POPULATION if known >= size)]
    for _ in range(60):
        total += runs(population, generator, [skill], 2).sum((0, 1, 2))
    return float(uf1(total))


def test_the_second_generator_is_like_real_runs_too():
    """SE of UF1, correlation of subjects' accuracy between configurations and between seeds; nine sizes of subjects."""
    found = []
    for key in range(40):
        generator = np.random.default_rng(key)
        table = copula_tables.subjects(68, generator)
        counts = copula_tables.Tried.on(table, generator, [SKILL, SKILL]).runs(generator, 2)
        right = np.trace(counts, axis1=-2, axis2=-1) / table.sum(1)[:, None]
        found.append([np.corrcoef(right[0, :, 0], other)[0, 1] for other in (right[1, :, 0], right[0, :, 1])])
        assert table.sum(1).max() <= 39 and ((table > 0).sum(0) >= 2).all()
    between, seeds = np.mean(found, axis=0)
    assert between == pytest.approx(0.5, abs=0.05) and seeds == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize(("size", "seeds"), [(n, s) for n in (12, 16, 26, 68) for s in (1, 3)] if WHOLE else [(16, 1)])
def test_effects_of_a_factorial_hold_their_level(monkeypatch, size, seeds):
    """Three factors of two levels and their interactions, all 0; by effect .035 to .065, and any after correction."""
    monkeypatch.setattr(inference, "RESAMPLES", claims.SWAPS)
    cells = np.array(list(product([0, 1], repeat=3)))
    columns = [*cells.T, *(cells[:, i] == cells[:, j] for i, j in combinations(range(3), 2))]
    halves = [(np.flatnonzero(own).tolist(), np.flatnonzero(np.logical_not(own)).tolist()) for own in columns]
    weights = np.array([np.where(own, 0.25, -0.25) for own in columns])
    alone, together = [], []
    for key in range(STUDIES):
        counts = score_tables.drawn(size, [claims.SEED, size, key, seeds], [SKILL] * 8, seeds)
        found = by_swaps(counts, weights, halves)
        alone.append(np.mean([one.p <= 0.05 for one in found]))
        together.append(min(one.p_adjusted for one in found) <= 0.05)
    words = f"{size} subjects, {seeds} seeds, {STUDIES} studies: {np.mean(alone):.3f} of effects, some in"
    print(f"\n  {words} {np.mean(together):.3f}")
    assert 0.035 - slack(0.035) <= np.mean(alone) <= 0.065 + slack(0.065)
    assert np.mean(together) <= 0.065 + slack(0.065)


@pytest.mark.parametrize("size", [26, 68] if WHOLE else [68])
def test_no_row_of_several_is_called_equivalent_too_often_at_the_margin(size):
    """Three variants that are truly worse by the margin: some of them equivalent in at most 5 % of studies."""
    less = 0.35
    margin = _truth(size, SKILL) - _truth(size, SKILL - less)
    wrong = []
    for key in range(STUDIES):
        counts = score_tables.drawn(size, [claims.SEED, size, key, 7], [SKILL, *[SKILL - less] * 3], 3)
        arms = {str(i): counts[i] for i in (1, 2, 3)}
        seen = compare(counts[0], arms, arms.keys(), claims.few(size), margin=margin)
        wrong.append(any(one.verdict == "equivalent" for one in seen.values()))
    print(
        f"\n  {size} subjects, margin {margin:.3f}, {STUDIES} studies: some of three equivalent in {np.mean(wrong):.3f}"
    )
    assert np.mean(wrong) <= 0.06 + slack(0.06)
