from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.data.resize import area_resize, overlaps


def exact(frame, size):
    """The definition, in fractions: each new pixel is the mean of the area it covers, halves rounded up."""
    height, width = frame.shape
    rows, columns = Fraction(height, size[0]), Fraction(width, size[1])

    def cover(new, old, step):
        return max(min((new + 1) * step, old + 1) - max(new * step, old), Fraction(0))

    out = np.zeros(size, np.uint8)
    for i in range(size[0]):
        for j in range(size[1]):
            total = sum(
                cover(i, y, rows) * cover(j, x, columns) * int(frame[y, x]) for y in range(height) for x in range(width)
            )
            out[i, j] = floor(total / (rows * columns) + Fraction(1, 2))
    return out


@pytest.mark.parametrize(
    "old, new", [((6, 6), (3, 3)), ((5, 7), (3, 4)), ((3, 4), (5, 7)), ((8, 5), (8, 3)), ((9, 4), (1, 1))]
)
def test_equals_the_definition(old, new):
    frames = np.random.default_rng(0).integers(0, 256, (3, *old), dtype=np.uint8)
    assert np.array_equal(area_resize(frames, new), np.stack([exact(frame, new) for frame in frames]))


def test_halves_round_up():
    assert area_resize(np.array([[[0, 1]]], np.uint8), (1, 1)).item() == 1


def test_same_size_is_the_same_picture():
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 5), dtype=np.uint8)
    assert np.array_equal(area_resize(frames, (9, 5)), frames)


@given(
    st.tuples(*[st.integers(1, 40)] * 4),
    st.integers(0, 255),
)
@settings(deadline=None)
def test_a_constant_picture_stays_constant(sides, level):
    frames = np.full((1, *sides[:2]), level, np.uint8)
    assert (area_resize(frames, sides[2:]) == level).all()


@given(st.tuples(*[st.integers(1, 24)] * 4), st.integers(0, 2**32))
@settings(deadline=None)
def test_the_mean_is_kept_within_rounding(sides, seed):
    frames = np.random.default_rng(seed).integers(0, 256, (1, *sides[:2]), dtype=np.uint8)
    assert abs(area_resize(frames, sides[2:]).mean() - frames.mean()) <= 0.5 + 1e-9


@given(st.integers(1, 60), st.integers(1, 60))
def test_overlaps_share_every_pixel_out(old, new):
    weights = overlaps(old, new)
    assert len(set(weights.sum(0))) == len(set(weights.sum(1))) == 1


def test_large_sums_stay_exact():
    """640 x 480 to 100 x 100 with every sum beyond 2^24: float32 would lose the last bits."""
    frames = np.random.default_rng(1).integers(200, 256, (2, 481, 641), dtype=np.uint8)
    rows, columns = overlaps(481, 100), overlaps(641, 100)
    sums = rows @ frames.astype(np.int64) @ columns.T
    total = 481 * 641
    assert sums.max() > 2**24
    assert np.array_equal(area_resize(frames, (100, 100)), (2 * sums + total) // (2 * total))
