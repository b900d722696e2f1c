from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.config import TrialConfig
from study.data.resize import area_resize
from study.data.sampling import evenly, sample

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
