"""What a design could detect: the specification's simulated figures, and what must be so of any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.inference import compare
from analysis.stats.power import detectable, detectable_effect

# Subjects, clips, seeds, detectable difference at 80 % power, simulated: the specification, section 5.
SIMULATED = [(16, 164, 1, 0.125), (16, 164, 5, 0.092), (26, 145, 1, 0.133), (26, 145, 5, 0.095)] + [
    (68, 442, 1, 0.077),
    (68, 442, 5, 0.055),
]


@pytest.mark.parametrize(("subjects", "clips", "seeds", "simulated"), SIMULATED)
def test_one_comparison_is_as_simulated(subjects, clips, seeds, simulated):
    assert detectable(clips, subjects, seeds, 1) == pytest.approx(simulated, rel=0.09)


def test_a_factorial_is_as_much_sharper_as_the_real_one_was():
    """24 configurations, 8 seeds: standard errors 1.2 to 3 times smaller, median 1.75, than one at a time."""
    ratio = detectable(442, 68, 8, 5) / detectable_effect(442, 68, 8, 5, 12)
    assert ratio == pytest.approx(1.75, rel=0.1)


numbers = st.tuples(st.integers(6, 300), st.integers(1, 40), st.integers(1, 60))


@given(numbers, st.integers(2, 40))
def test_more_of_anything_but_comparisons_finds_less(size, clips_a_subject):
    subjects, seeds, comparisons = size
    clips = subjects * clips_a_subject
    own = detectable(clips, subjects, seeds, comparisons)
    assert detectable(2 * clips, subjects, seeds, comparisons) < own
    assert detectable(clips, subjects, seeds + 1, comparisons) < own
    assert detectable(clips, subjects, seeds, comparisons + 1) > own
    assert detectable_effect(clips, subjects, seeds, comparisons, 1) == pytest.approx(own)
    assert detectable_effect(clips, subjects, seeds, comparisons, 4) < own


@pytest.mark.parametrize("subjects", [2, 3, 5, 6])
def test_so_few_subjects_that_nothing_can_be_found(subjects):
    """The same bound as that of the test itself, on the clearest difference there is."""
    right, wrong = np.zeros((subjects, 1, 2, 2), int), np.zeros((subjects, 1, 2, 2), int)
    right[:, 0, [0, 1], [0, 1]] = wrong[:, 0, [0, 1], [1, 0]] = 5
    possible = compare(wrong, {"clear": right}, ["clear"])["clear"].p <= 0.05
    assert (detectable(50, subjects, 1, 1) is not None) == possible
