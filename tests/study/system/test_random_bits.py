import numpy as np
import pytest

from study.system import random_bits


def test_bits_are_the_same_on_every_machine():
    assert (random_bits.uniform(7, (2, 2)) * 2**23).astype(int).tolist() == [[-5641733, 6242356], [7923264, -3433200]]
    assert np.flatnonzero(random_bits.keep(7, 3, 0.25, (5, 8))).tolist() == [0, 4, 7, 23, 27, 29, 38]
    assert random_bits.permutation(7, 8).tolist() == [4, 1, 6, 3, 2, 7, 5, 0]


def test_uniform_covers_its_range():
    numbers = random_bits.uniform(1, (100, 1000))
    assert -1 <= numbers.min() < -0.999 < 0.999 < numbers.max() < 1
    assert abs(numbers.mean()) < 0.01
    assert numbers.std() == pytest.approx(3**-0.5, abs=0.01)


def test_keep_keeps_its_share_and_steps_do_not_overlap():
    masks = np.stack([random_bits.keep(1, step, 0.8, (50, 400)) for step in range(10)])
    assert masks.mean() == pytest.approx(0.8, abs=0.005)
    assert np.corrcoef(masks.reshape(10, -1))[np.triu_indices(10, 1)] == pytest.approx(0, abs=0.03)


def test_a_permutation_permutes():
    assert sorted(random_bits.permutation(3, 50)) == list(range(50))
