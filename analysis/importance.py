"""Which factors a search's scores vary with: fANOVA, never without its noise floor and its spread over seeds.

fANOVA (Hutter, Hoos and Leyton-Brown, 2014) by Optuna, its evaluator named because Optuna's own default has changed:
PED-ANOVA found both real factors in 2 of 20 simulated studies, fANOVA in 20. Shares sum to 1 on pure noise too, so the
same shares of shuffled scores stand beside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.confusion import Confusions
from analysis.metrics import Floats, uf1
from analysis.results import Results, Trial
from analysis.tables import Column, Row, Table, interval, number, text
from search_spaces.identity import stream

TREES = 32
SHUFFLES = 20
FEWEST = 10  # trials, below which a forest has nothing to learn from
LOG_RATIO = 50  # a positive factor that spans more is integrated on a log scale


@dataclass(frozen=True)
class Importance:
    """A factor's share of the variance. low, high: over single seeds. floor: largest of shuffled scores."""

    factor: str
    share: float
    low: float
    high: float
    floor: float

    @property
    def above_noise(self) -> bool:
        return self.low > self.floor


@dataclass(frozen=True)
class Importances:
    """Of a search's complete trials, largest first. evaluator: with its version, as the caption names it."""

    found: tuple[Importance, ...]
    trials: int
    spread: str
    evaluator: str


def importances(results: Results, counted: Confusions) -> Importances | None:
    """None with too few trials or factors. Raises ModuleNotFoundError without optuna and scikit-learn."""
    trials = [t for t in results.trials if t.stage == "search" and t.complete]
    varied = [n for n in (trials[0].factors if trials else {}) if len({str(t.factors.get(n)) for t in trials}) > 1]
    scores = [uf1(counted.of([trial.trial]).sum(0)) for trial in trials]
    if len(trials) < FEWEST or len(varied) < 2 or len({len(own) for own in scores}) > 1:
        return None
    import optuna

    by_seed = np.stack(scores)  # [trials, seeds]
    mean = by_seed.mean(1)
    whole = _shares(trials, varied, mean, 0)
    seeds = by_seed.shape[1]
    alone = [_shares(trials, varied, by_seed[:, s], s) for s in range(seeds)] if seeds > 1 else []
    alone = alone or [_shares(trials, varied, mean, seed) for seed in range(1, 4)]
    generator = np.random.Generator(np.random.Philox(stream("analysis", "shuffled scores", len(trials))))
    noise = [_shares(trials, varied, generator.permutation(mean), i) for i in range(SHUFFLES)]
    found = [
        Importance(
            name,
            whole[name],
            min(one[name] for one in (whole, *alone)),
            max(one[name] for one in (whole, *alone)),
            max(one[name] for one in noise),
        )
        for name in varied
    ]
    spread = "each seed of the trials by itself" if seeds > 1 else "seeds of the forest (the trials have one seed)"
    evaluator = f"Optuna {optuna.__version__} FanovaImportanceEvaluator, {TREES} trees, seed 0"
    return Importances(tuple(sorted(found, key=lambda one: (-one.share, one.factor))), len(trials), spread, evaluator)


def table(found: Importances) -> Table:
    """Shares with spread and floor."""
    columns = (
        Column("Factor", ("factor",), numeric=False),
        Column("Share [spread]", ("share", "share_low", "share_high")),
        Column("Noise floor", ("noise_floor",)),
        Column("Above noise", ("above_noise",), numeric=False),
    )
    rows = tuple(
        Row("variant" if one.above_noise else "plain", (
            text(one.factor),
            interval((one.share, one.low, one.high)),
            number(one.floor, 3),
            text("yes" if one.above_noise else "no"),
        ))
        for one in found.found
    )  # fmt: skip
    caption = (
        f"fANOVA: each factor's own share of the variance of pooled UF1 over {found.trials} complete trials of the "
        f"search ({found.evaluator}). In brackets: {found.spread}. Noise floor: largest of {SHUFFLES} shares of the "
        "same scores shuffled. Shares sum to at most 1 whatever happens, noise included; the "
        "sampler's choices weigh in. No share is a test."
    )
    return Table("importance", "Importance of factors", caption, columns, rows)


def answer(found: Importances) -> str:
    """Which factors stand above the noise."""
    real = [f"{one.factor} ({100 * one.share:.0f} % of the variance)" for one in found.found if one.above_noise]
    if not real:
        return "None shows above the noise floor: these trials do not tell which factor matters."
    return f"Above the noise floor, over {found.spread}: {', '.join(real)}."


def _shares(trials: Sequence[Trial], names: Sequence[str], scores: Floats, seed: int) -> Mapping[str, float]:
    """fANOVA's share of each factor. A factor whose levels are all numbers is a range, any other a set of choices."""
    import optuna

    space = {name: _distribution([trial.factors.get(name) for trial in trials]) for name in names}
    said = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize")
        for trial, score in zip(trials, scores, strict=True):
            levels = {name: _level(trial.factors.get(name), space[name]) for name in names}
            study.add_trial(optuna.trial.create_trial(params=levels, distributions=space, value=float(score)))
        if np.ptp(scores) == 0:
            return dict.fromkeys(names, 0.0)
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed)
        return {name: float(share) for name, share in evaluator.evaluate(study).items()}
    finally:
        optuna.logging.set_verbosity(said)


def _distribution(levels: Sequence[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if any(isinstance(level, bool) or not isinstance(level, int | float) for level in levels):
        return CategoricalDistribution(sorted({str(level) for level in levels}))
    low, high = min(levels), max(levels)
    log = low > 0 and high / low >= LOG_RATIO
    if all(isinstance(level, int) for level in levels):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _level(level: Any, space: Any) -> Any:
    return str(level) if hasattr(space, "choices") else level
