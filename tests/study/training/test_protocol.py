from dataclasses import replace

import numpy as np

from study.training.protocol import loso


def test_every_clip_is_held_out_once_with_its_subject(random_clips):
    clips = random_clips(count=23, subjects=5)
    folds = loso(clips, seed=3)
    assert {fold.held_out for fold in folds} == set(clips.subjects)
    assert (np.sum([fold.test for fold in folds], axis=0) == 1).all()
    for fold in folds:
        assert set(clips.subjects[fold.test]) == {fold.held_out}
        assert not (fold.test & fold.train).any()
        assert (fold.test | fold.train).all()


def test_the_order_of_subjects_is_the_datasets_and_not_the_seeds_or_the_rows(random_clips):
    clips = random_clips(count=30, subjects=10)
    order = [fold.held_out for fold in loso(clips, 0)]
    assert order == [fold.held_out for fold in loso(clips, 1)]
    turned = replace(clips, subjects=clips.subjects[::-1], ids=clips.ids[::-1])
    assert order == [fold.held_out for fold in loso(turned, 0)]
    assert order != sorted(order)
    assert order != [fold.held_out for fold in loso(replace(clips, digests={"index": "other"}), 0)]
