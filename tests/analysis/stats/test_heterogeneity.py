"""Differences by dataset: against scipy and the comparison of each dataset alone, and the level of their test."""

import os

import numpy as np
import pytest
from scipy.stats import chi2

from analysis.stats.heterogeneity import by_dataset
from analysis.stats.inference import compare, influences
from benchmarks.score_tables import SKILL, TABLES, Tried

STUDIES = 2000 if os.environ.get("LOSOLAB_SOAK") else 200
PARTS = [np.repeat(np.arange(3), [len(own) for own in TABLES]) == d for d in range(3)]


def two(generator, skills=(SKILL, SKILL)):
    """Two configurations on the 68 subjects of the composite."""
    return Tried.on(np.concatenate(TABLES), generator, skills).runs(generator, 1)


def test_the_parts_are_those_of_each_dataset_alone():
    base, arm = two(np.random.default_rng(1), (SKILL, SKILL + 0.4))
    found = by_dataset(arm, base, PARTS)
    for difference, error, own in zip(found.differences, found.errors, PARTS, strict=True):
        alone = compare(base[own], {"": arm[own]}, [])[""]
        assert (difference, error) == pytest.approx((alone.difference, alone.se))
        assert influences(arm[own], base[own])[1].sum() == pytest.approx(0, abs=1e-12)
    shares = np.array([own.mean() for own in PARTS])
    assert found.combined[0] == pytest.approx(shares @ found.differences)
    weights = 1 / np.square(found.errors)
    q = (np.square(found.differences - weights @ found.differences / weights.sum()) * weights).sum()
    assert found.p == pytest.approx(chi2(2).sf(q), abs=0.06)
    assert by_dataset(base, base, PARTS).p == 1


def test_a_dataset_with_another_sign_is_found():
    generator = np.random.default_rng(3)
    base, arm = two(generator, (SKILL, SKILL + 1.0))
    turned = arm.copy()
    turned[PARTS[2]], base[PARTS[2]] = base[PARTS[2]], arm[PARTS[2]]
    assert by_dataset(turned, base, PARTS).p < 0.01


@pytest.mark.slow
def test_the_test_holds_its_level_where_datasets_have_one_difference():
    p = np.array([by_dataset(*two(np.random.default_rng([7, n])), PARTS).p for n in range(STUDIES)])
    rate, error = (p <= 0.05).mean(), np.sqrt(0.05 * 0.95 / STUDIES)
    print(f"p <= .05 in {rate:.3f} of {STUDIES} studies")
    assert rate < 0.06 + 3 * error
    assert rate > 0.03 - 3 * error
