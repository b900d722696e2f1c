"""What a report of a search costs grows with the number of its configurations, no steeper."""

import time

import numpy as np
import pandas as pd
import pytest

from analysis.questions.pareto import pareto
from analysis.questions.ranking import ranking
from analysis.questions.selection import select
from analysis.results.results import Metadata, Results, Trial
from analysis.stats.confusion import confusions

CLASSES = ("negative", "positive", "surprise")


def searched(trials: int) -> Results:
    """A search of so many configurations on 6 subjects with 4 clips each."""
    draw, clips = np.random.default_rng(0), 24
    shape = np.arange(trials * clips)
    truth = np.array(CLASSES)[shape % clips % 3]
    guess = np.where(draw.random(len(shape)) < 0.5, truth, np.array(CLASSES)[draw.integers(0, 3, len(shape))])
    rows = pd.DataFrame({"trial": shape // clips, "stage": "search", "arm": None, "configuration": "c", "seed": 0})
    rows["subject"] = rows["held_out"] = [f"s{i // 4}" for i in shape % clips]
    rows = rows.assign(dataset="d", clip_id=[f"c{i}" for i in shape % clips], y_true=truth, y_pred=guess)
    rows["probabilities"] = [[]] * len(rows)
    tried = [
        Trial(i, "search", None, f"{i}", "complete", 0.5, (0,), {"depth": i}, int(size), 1, 1.0, 1.0, "cpu", None)
        for i, size in enumerate(draw.integers(1, 10**6, trials))
    ]
    about = Metadata("it", "", "d", "", "loso", CLASSES, None, (), None, {}, (), ("uf1", "parameters"))
    return Results.checked(rows, tried, about)


def cpu_seconds(trials: int) -> float:
    began = time.process_time()
    results = searched(trials)
    counted = confusions(results)
    assert select(results, counted).candidates == len(ranking(results, counted).rows) == trials
    assert pareto(results, counted)
    return time.process_time() - began


@pytest.mark.slow
def test_eight_times_the_configurations_take_at_most_twelve_times_as_long():
    cpu_seconds(10)  # what only the first of a process does
    assert cpu_seconds(1600) < 12 * cpu_seconds(200)


def test_a_missing_clip_is_named_among_many_trials():
    results = searched(300)
    rows = results.predictions.drop(index=[5, 30]).reset_index(drop=True)
    with pytest.raises(Exception, match="trial 0, seed 0, subject 's1': clip c5 is missing"):
        Results.checked(rows, results.trials, results.metadata)
