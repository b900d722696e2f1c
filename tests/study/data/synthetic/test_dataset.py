from collections import Counter

import numpy as np
import pytest

from search_spaces.errors import UserError
from study.data.synthetic.dataset import CLASSES, Synthetic, apportion, clips, index_of
from tests.rendered import in_memory


def test_sizes_shares_and_mistakes():
    dataset = clips(Synthetic())
    assert len(dataset) == 144
    counts = Counter(one.subject.name for one in dataset)
    assert len(counts) == 12 and len(set(counts.values())) > 5
    assert Counter(one.expression for one in dataset) == {"negative": 65, "positive": 43, "surprise": 36}
    assert sum(one.expression != one.label for one in dataset) == 14
    assert {one.codec for one in dataset} == {"h264", "mjpeg", "mpeg4"}


def test_the_class_lies_in_brow_and_mouth_together():
    cues = {name: {(one.brow, one.mouth) for one in clips(Synthetic()) if one.expression == name} for name in CLASSES}
    assert cues == {"negative": {(-1, -1)}, "positive": {(-1, 1)}, "surprise": {(1, -1), (1, 1)}}


def test_one_frame_hides_what_motion_shows():
    """The height of a brow at the apex: a threshold on it tells up from down far worse than its motion does."""
    dataset = clips(Synthetic(subjects=60, seed=3))
    up = np.array([one.brow > 0 for one in dataset])
    motion = np.array([one.motion.brow for one in dataset])
    height = np.array([one.subject.brow for one in dataset]) + motion
    assert np.array_equal(motion > 0, up)
    accuracy = max(np.mean((height > at) == up) for at in height)
    assert 0.7 < accuracy < 0.87  # always saying "down" has 0.75


def test_the_apex_is_anywhere_between_onset_and_offset():
    places = [(m.apex - m.onset) / (m.offset - m.onset) for m in (one.motion for one in clips(Synthetic(subjects=40)))]
    assert min(places) < 0.2 and max(places) > 0.8 and 0.45 < np.mean(places) < 0.55


def test_frames_before_the_onset_and_after_the_offset():
    for one in clips(Synthetic()):
        assert 0 < one.motion.onset < one.motion.apex < one.motion.offset < one.motion.length - 1


def test_equal_options_give_equal_pixels_and_another_seed_others():
    spec = Synthetic(subjects=2, clips=3)
    assert in_memory(spec).digests == in_memory(spec).digests
    assert in_memory(spec).digests["face"] != in_memory(Synthetic(subjects=2, clips=3, seed=1)).digests["face"]


def test_arrays():
    found = in_memory(Synthetic(subjects=2, clips=3), ("eyes", "frame"))
    rows = index_of(Synthetic(subjects=2, clips=3)).table.to_pylist()
    assert found.ids.tolist() == [row["clip_id"] for row in rows]
    assert [found.classes[label] for label in found.labels] == [row["label"] for row in rows]
    assert found.frames.tolist() == [row["offset"] - row["onset"] + 1 for row in rows]
    assert found.first.tolist() == [0, *np.cumsum(found.frames)[:-1]]
    assert found.pixels["eyes"].shape == (found.frames.sum(), 64, 64)
    assert found.pixels["frame"].shape == (found.frames.sum(), 128, 128)


def test_every_impossible_option_is_named():
    with pytest.raises(UserError) as error:
        Synthetic(subjects=1, motion=9)
    assert len(error.value.problems) == 2


@pytest.mark.parametrize("total", [3, 10, 17])
def test_apportion_sums_to_the_total(total):
    counts = apportion(np.array([0.45, 0.30, 0.25]), total)
    assert counts.sum() == total
    assert (np.abs(counts - total * np.array([0.45, 0.30, 0.25])) < 1).all()
