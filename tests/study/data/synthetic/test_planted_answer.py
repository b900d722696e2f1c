import json
from fractions import Fraction

import pytest

from study.data.synthetic.dataset import Synthetic
from study.data.synthetic.planted_answer import SEEN, balanced, best_uf1, ideal_uf1, marginal, truth, weigh


@pytest.mark.parametrize("level, expected", [("eyes", 2 / 3), ("mouth", 8 / 15), ("face", 1), ("eyes+mouth", 1)])
def test_ideal_observer_of_balanced_classes(level, expected):
    """By hand: eyes tell surprise, and toss a coin for the rest; mouth never says surprise, F1 = 0.8, 0.8, 0."""
    assert ideal_uf1(marginal(balanced(), SEEN[level])) == pytest.approx(expected, abs=1e-4)


def test_the_most_probable_label_is_said_without_a_tie():
    """Brow down: negative 3/5, positive 2/5 of the clips that are not surprise (1/4 of all)."""
    shares = {"negative": Fraction(9, 20), "positive": Fraction(6, 20), "surprise": Fraction(5, 20)}
    table = weigh({(name, name): share for name, share in shares.items()})
    negative = 2 * 0.45 / (2 * 0.45 + 0.30)
    assert ideal_uf1(marginal(table, SEEN["eyes"])) == pytest.approx((negative + 0 + 1) / 3, abs=1e-4)


def test_chance_beats_the_most_probable_label_where_uf1_rewards_rare_answers():
    """Mouth, balanced, by hand: saying surprise for one mouth in five gives (2 x 0.7273 + 0.25) / 3."""
    assert best_uf1(marginal(balanced(), SEEN["mouth"])) >= round((2 * 1.6 / 2.2 + 0.4 / 1.6) / 3, 4)
    assert best_uf1(marginal(balanced(), SEEN["eyes"])) == pytest.approx(2 / 3, abs=1e-4)


def test_truth_of_a_dataset():
    found = truth(Synthetic(seed=2))
    assert json.loads(json.dumps(found)) == found
    scores = found["ideal_uf1"]["regions"]
    assert set(scores) == {"face", "eyes", "mouth", "eyes+mouth", "face+eyes+mouth", "frame"}
    for level, score in scores.items():
        assert score["actual"] <= score["limit"] <= scores["face"]["limit"] < 1, level
    assert {(e["level"], e["expect"]) for e in found["planted"]} == {
        ("eyes", "lower"),
        ("mouth", "lower"),
        ("gray", "lower"),
        ("single_frame", "lower"),
        ("shuffled_time", "lower"),
        ("shuffled_labels", "chance"),
    }
