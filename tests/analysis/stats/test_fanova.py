import numpy as np
import pytest

from analysis.stats.fanova import Space, shares

RANGES = ("learning_rate", "filters")


def searched(trials: int) -> tuple[dict, np.ndarray]:
    """Levels of numbers, words, switches and a factor that is not always there; scores with ties."""
    draw = np.random.default_rng(trials)
    levels = {
        "learning_rate": (10 ** draw.uniform(-4, -1, trials)).tolist(),
        "filters": draw.choice([4, 8, 200], trials).tolist(),
        "fusion": draw.choice(["none", "early", "late", "mean"], trials).tolist(),
        "flip": [bool(bit) for bit in draw.integers(0, 2, trials)],
        "dropout": [None if share < 0.5 else float(share) for share in draw.random(trials).round(1)],
    }
    scores = 0.05 * np.log10(levels["learning_rate"]) + 0.1 * (np.array(levels["fusion"]) == "late")
    return levels, (scores + draw.normal(0, 0.03, trials)).round(2)


@pytest.mark.parametrize("trials", [10, 60])
def test_shares_are_those_of_optuna(trials):
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    levels, scores = searched(trials)
    spaces = {
        name: optuna.distributions.CategoricalDistribution(sorted(set(map(str, levels[name])))) for name in levels
    }
    for name, kind in zip(RANGES, ("FloatDistribution", "IntDistribution"), strict=True):
        spaces[name] = getattr(optuna.distributions, kind)(min(levels[name]), max(levels[name]))
    study = optuna.create_study(direction="maximize")
    for i, score in enumerate(scores):
        own = {name: levels[name][i] if name in RANGES else str(levels[name][i]) for name in levels}
        study.add_trial(optuna.trial.create_trial(params=own, distributions=spaces, value=float(score)))
    expected = optuna.importance.FanovaImportanceEvaluator(n_trees=8, seed=3).evaluate(study)
    assert shares(Space.of(levels), scores, trees=8, seed=3) == pytest.approx(expected, abs=1e-12)


def test_nothing_varies():
    pytest.importorskip("sklearn")
    levels, scores = searched(10)
    assert set(shares(Space.of(levels), np.full(10, 0.5), trees=2, seed=0).values()) == {0.0}
    assert shares(Space.of({"depth": [1, 1.0] * 5}), scores, trees=2, seed=0) == {"depth": 0.0}


def test_many_words_take_no_more_memory_than_a_few():
    pytest.importorskip("sklearn")
    draw = np.random.default_rng(0)
    levels = {
        "reader": [f"reader{i:02d}" for i in draw.integers(0, 40, 200)],
        "depth": draw.integers(1, 4, 200).tolist(),
    }
    found = shares(Space.of(levels), np.array(levels["depth"]) + draw.normal(0, 0.1, 200), trees=8, seed=0)
    assert found["depth"] > 0.9 > 0.1 > found["reader"] >= 0
