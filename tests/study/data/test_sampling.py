from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.config import TrialConfig
from study.data.resize import area_resize
from study.data.sampling import evenly, sample, through

CONFIG = TrialConfig(regions="face+eyes+mouth", fusion="late", frames=6, crop=20)


@given(st.integers(1, 200), st.integers(2, 100))
def test_frames_run_evenly_from_onset_to_offset(frames, count):
    chosen = evenly(frames, count)
    exact = np.linspace(0, frames - 1, count)
    assert chosen[0] == 0
    assert chosen[-1] == frames - 1
    assert np.abs(chosen - exact).max() <= 0.5 + 1e-9
    assert (np.diff(chosen) >= 0).all()


def test_a_stream_has_its_frames_at_its_size(random_clips):
    clips = random_clips()
    seen = sample(clips, CONFIG, 0)
    assert {region: frames.shape for region, frames in seen.items()} == {
        "face": (20, 6, 20, 20),
        "eyes": (20, 6, 10, 10),
        "mouth": (20, 6, 10, 10),
    }
    rows = clips.first[3] + evenly(clips.frames[3], 6)
    assert np.array_equal(seen["eyes"][3], area_resize(clips.pixels["eyes"][rows], (10, 10)))


def test_single_frame_repeats_the_apex_or_the_middle(random_clips):
    clips = random_clips()
    config = replace(CONFIG, control="single_frame", crop=32)
    known = sample(clips, config, 0)["face"]
    assert (known == clips.pixels["face"][clips.first + clips.apex][:, None]).all()
    unknown = sample(replace(clips, apex=np.full(20, -1)), config, 0)["face"]
    assert (unknown == clips.pixels["face"][clips.first + (clips.frames - 1) // 2][:, None]).all()


def test_shuffled_time_permutes_frames_alike_in_all_regions_and_by_seed(random_clips):
    clips = random_clips()
    stamps = {region: pixels.copy() for region, pixels in clips.pixels.items()}
    for pixels in stamps.values():
        pixels[:] = np.concatenate([np.arange(n) for n in clips.frames])[:, None, None]
    clips = replace(clips, pixels=stamps, frames=np.minimum(clips.frames, 9))
    config = replace(CONFIG, control="shuffled_time", frames=9)
    orders = {region: frames[:, :, 0, 0] for region, frames in sample(clips, config, 0).items()}
    assert (np.sort(orders["face"], axis=1) == np.arange(9)).all()
    assert np.array_equal(orders["face"], orders["mouth"])
    assert len({tuple(order) for order in orders["face"].tolist()}) > 15
    assert not np.array_equal(orders["face"], sample(clips, config, 1)["face"][:, :, 0, 0])


def stamped(random_clips, count=20):
    """Clips whose frames are of one gray level each: 10 times their number in the clip."""
    clips = random_clips(count)
    numbers = np.concatenate([np.arange(n) for n in clips.frames])
    for pixels in clips.pixels.values():
        pixels[:] = (10 * numbers)[:, None, None]
    return clips


def levels(clips, config):
    """Gray levels [N, T] of what a configuration sees."""
    (frames,) = sample(clips, config, 0).values()
    return frames[:, :, 0, 0].tolist()


PLAIN = TrialConfig(frames=6, crop=16)


def test_clips_too_short_are_filled_up_by_the_named_rule(random_clips):
    clips = replace(stamped(random_clips), frames=np.full(20, 3), apex=np.full(20, 1))
    for sampling in ("uniform", "first", "centre", "onset_apex_offset", "start_72"):
        config = replace(PLAIN, sampling=sampling)
        assert levels(clips, config)[0] == [0, 0, 10, 10, 20, 20], sampling
        last = {"start_72": [20] * 6}.get(sampling, [0, 10, 20, 20, 20, 20])
        assert levels(clips, replace(config, short="repeat_last"))[0] == last, sampling
        assert levels(clips, replace(config, short="interpolate"))[0] == [0, 4, 8, 12, 16, 20], sampling
        with pytest.raises(ValueError, match="too short and should have been dropped"):
            sample(clips, replace(config, short="drop"), 0)


def test_interpolation_is_linear_between_the_nearest_frames(random_clips):
    clips = stamped(random_clips)
    for seen, frames in zip(levels(clips, replace(PLAIN, sampling="interpolate")), clips.frames, strict=True):
        assert seen == [int(10 * i * (frames - 1) / 5 + 0.5) for i in range(6)]


def test_a_rate_takes_the_nearest_frame_whatever_the_clips_own(random_clips):
    clips = stamped(random_clips)
    clips = replace(clips, fps=np.where(np.arange(20) % 2, 100.0, 200.0))
    seen = levels(clips, replace(PLAIN, frames=4, sampling="rate", rate=100.0))
    assert seen[0] == [0, 20, 40, 60]
    assert seen[1] == [0, 10, 20, 30]
    assert levels(clips, replace(PLAIN, frames=4, sampling="rate", rate=150.0))[1] == [0, 10, 10, 20]


@given(st.integers(2, 40), st.integers(0, 39), st.integers(2, 30))
def test_the_apex_is_in_the_middle(frames, apex, count):
    apex = min(apex, frames - 1)
    chosen = through(apex, frames, count)
    assert len(chosen) == count and chosen[0] == 0 and chosen[-1] == frames - 1
    assert (np.diff(chosen) >= 0).all()
    assert count == 2 or chosen[count // 2] == apex


def test_the_apex_by_each_rule(random_clips):
    clips = stamped(random_clips)
    clips.pixels["face"][clips.first + 3] = 255
    config = replace(PLAIN, control="single_frame")
    assert levels(clips, replace(config, apex="max_difference"))[0] == [255] * 6
    assert levels(clips, replace(config, apex="midpoint"))[0] == [10 * ((clips.frames[0] - 1) // 2)] * 6
    unknown = replace(clips, apex=np.full(20, -1))
    assert levels(unknown, config) == levels(clips, replace(config, apex="midpoint"))


def test_landmarks_choose_the_master(random_clips):
    clips = random_clips()
    clips.pixels["face.per_frame.none"] = 255 - clips.pixels["face"]
    other = sample(clips, replace(PLAIN, landmarks="per_frame", alignment="none", crop=32), 0)["face"]
    assert np.array_equal(255 - other, sample(clips, replace(PLAIN, crop=32), 0)["face"])


def test_a_trial_samples_once(random_clips):
    clips = random_clips()
    assert sample(clips, PLAIN, 0) is sample(clips, replace(PLAIN, depth=1), 0)
    assert not sample(clips, PLAIN, 0)["face"].flags.writeable
