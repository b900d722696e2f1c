import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from study.models import normalisation

clips_of_bytes = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=4), elements=st.integers(0, 255)
)


@given(clips_of_bytes, st.booleans())
def test_fit_is_numpys_mean_and_deviation(frames, difference):
    values = frames.astype(float) - (frames[:, :1] if difference else 0)
    mean, scale = normalisation.fit(normalisation.moments(frames, difference), "standard")
    assert mean == pytest.approx(values.mean(), abs=1e-9)
    assert scale == pytest.approx(values.std() or 1.0, abs=1e-9)


@given(clips_of_bytes)
def test_mean_max_divides_by_the_centred_maximum(frames):
    mean, scale = normalisation.fit(normalisation.moments(frames, False), "mean_max")
    assert scale == pytest.approx((frames - frames.mean()).max() or 1.0)
    assert mean == pytest.approx(frames.mean())


def test_table_has_a_column_for_every_set():
    frames = np.arange(16, dtype=np.uint8).reshape(2, 2, 2, 2)
    moments = normalisation.moments(frames, False)
    assert normalisation.table([moments, moments[:1]], "standard")[0].tolist() == [7.5, 3.5]
