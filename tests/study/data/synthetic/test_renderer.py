from dataclasses import replace

import numpy as np

from study.data.synthetic.dataset import Synthetic, subject
from study.data.synthetic.renderer import Motion, pulse, render

PERSON = subject(Synthetic(), 0)
REST = Motion(length=40, onset=4, apex=15, offset=35, brow=0, pull=0, press=0, blink=None, exposure=1, seed=5)


def test_frames():
    frames = render(PERSON, REST)
    assert frames.shape == (40, 176, 176)
    assert frames.dtype == np.uint8


def test_the_pulse_is_nothing_outside_and_whole_at_the_apex():
    strength = pulse(REST)
    assert (strength[:5] == 0).all() and (strength[35:] == 0).all()
    assert strength[15] == 1
    assert (np.diff(strength[4:16]) > 0).all() and (np.diff(strength[15:36]) < 0).all()


def test_an_expression_is_seen_between_onset_and_offset_only():
    """So neither the onset frame nor any frame at rest tells the class."""
    rest = render(PERSON, REST)
    for change in ({"brow": 5.0}, {"pull": 5.0}, {"press": 5.0}):
        moved = render(PERSON, replace(REST, **change))
        differs = (moved != rest).any(axis=(1, 2))
        assert not differs[:5].any() and not differs[35:].any()
        assert differs[8:30].all()


def test_brow_and_mouth_move_in_their_own_regions():
    rest = render(PERSON, REST)[15].astype(int)
    brow = np.argwhere(render(PERSON, replace(REST, brow=5.0))[15] != rest) - 24
    mouth = np.argwhere(render(PERSON, replace(REST, pull=5.0))[15] != rest) - 24
    assert brow[:, 0].max() < 0.5 * 128
    assert mouth[:, 0].min() > 0.58 * 128


def test_a_blink_shuts_the_eyes():
    rest, blink = render(PERSON, REST), render(PERSON, replace(REST, blink=20))
    differs = np.flatnonzero((rest != blink).any(axis=(1, 2)))
    assert 20 in differs and differs.min() > 10 and differs.max() < 30
