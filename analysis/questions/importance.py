"""Which factors a search's scores vary with: fANOVA, never without its noise floor and its spread over subjects.

fANOVA (Hutter, Hoos and Leyton-Brown, 2014), named because Optuna's own default has changed: PED-ANOVA found both real
factors in 2 of 20 simulated studies, fANOVA in 20. Shares sum to 1 on pure noise too, so the same shares of shuffled
scores stand beside.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.questions.choice import judges
from analysis.results.results import Results
from analysis.stats.confusion import Confusions
from analysis.stats.fanova import Space, shares
from analysis.stats.metrics import Array, Floats, parts, uf1, uf1_of
from analysis.tables import Column, Row, Table, interval, number, text
from search_spaces.digests import stream

TREES = 32
DRAWS = 19  # of subjects
SHUFFLES = 19  # the largest share of any factor in 19 shuffles is exceeded without any effect in 1 of 20 studies
FEWEST = 10  # trials, below which a forest has nothing to learn from


@dataclass(frozen=True)
class Importance:
    """A factor's share of the variance.

    low, high: the least and most over draws of the subjects. floor: the largest of any factor, scores shuffled.
    """

    factor: str
    share: float
    low: float
    high: float
    floor: float

    @property
    def above_noise(self) -> bool:
        return self.share > self.floor


@dataclass(frozen=True)
class Importances:
    """Of a search's complete trials, largest first. evaluator: with its version, as the caption names it."""

    found: tuple[Importance, ...]
    trials: int
    pruned: int
    evaluator: str
    by: str  # whose scores they are (choice.judges)


def importances(results: Results, counted: Confusions) -> Importances | str | None:
    """None without a search; why not, where it has too few trials or factors.

    Raises ModuleNotFoundError without scikit-learn.
    """
    search = [t for t in results.trials if t.stage == "search"]
    trials = [t for t in search if t.complete]
    varied = [n for n in (trials[0].factors if trials else {}) if len({str(t.factors.get(n)) for t in trials}) > 1]
    scores = [uf1(counted.of([trial.trial]).sum(0)) for trial in trials]
    if not search:
        return None
    if len(trials) < FEWEST:
        return f"fANOVA needs at least {FEWEST} complete trials, and the search has {len(trials)}"
    if len(varied) < 2:
        return f"fANOVA shares the variance out among factors, and the complete trials differ in {len(varied)}"
    if len({len(own) for own in scores}) > 1:
        return "the complete trials have different numbers of seeds"
    from sklearn import __version__

    space = Space.of({name: [trial.factors.get(name) for trial in trials] for name in varied})
    counts = np.stack([parts(counted.of([trial.trial])) for trial in trials])  # [trials, 2, N, seeds, K]
    counts = counts[:, :, counts.sum((0, 1, 3, 4)) > 0]  # of the subjects that were held out
    mean = uf1_of(np.moveaxis(counts.sum(2), 1, 0)).mean(-1)
    whole = shares(space, mean, TREES, 0)
    drawn = [shares(space, scores, TREES, i) for i, scores in enumerate(_redrawn(counts))]
    generator = np.random.Generator(np.random.Philox(stream("analysis", "shuffled scores", len(trials))))
    noise = [shares(space, generator.permutation(mean), TREES, i) for i in range(SHUFFLES)]
    floor = max(max(one.values()) for one in noise)
    found = [
        Importance(
            name,
            whole[name],
            min(one[name] for one in (whole, *drawn)),
            max(one[name] for one in (whole, *drawn)),
            floor,
        )
        for name in varied
    ]
    pruned = sum(trial.state == "pruned" for trial in search)
    evaluator = f"as Optuna's FanovaImportanceEvaluator, scikit-learn {__version__}, {TREES} trees, seed 0"
    return Importances(
        tuple(sorted(found, key=lambda one: (-one.share, one.factor))), len(trials), pruned, evaluator, judges(results)
    )


def _redrawn(counts: Array) -> Iterator[Floats]:
    """UF1 of each trial, mean over seeds, of subjects drawn anew; counts: parts of UF1 [trials, 2, N, seeds, K]."""
    subjects = counts.shape[2]
    generator = np.random.Generator(np.random.Philox(stream("analysis", "redrawn subjects", subjects)))
    for weights in generator.multinomial(subjects, np.full(subjects, 1 / subjects), DRAWS):
        pooled = np.einsum("n,tpnsk->ptsk", weights, counts)
        yield uf1_of(pooled).mean(-1)


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
        f"fANOVA: each factor's own share of the variance of pooled UF1{found.by} over {found.trials} complete trials "
        f"of the search ({found.evaluator}). In brackets: the least and most of {DRAWS} draws of the subjects. Noise "
        f"floor: the largest share of any factor in {SHUFFLES} shuffles of the same scores. {_raced(found)}Shares sum "
        "to at most 1 whatever happens, noise included; the sampler's choices weigh in. No share is a test."
    )
    return Table("importance", "Importance of factors", caption, columns, rows)


def _raced(found: Importances) -> str:
    some = f"{found.pruned} trial{'s' * (found.pruned > 1)}"
    return f"The race stopped {some}, whose low scores are not seen here. " if found.pruned else ""


def answer(found: Importances) -> str:
    """Which factors stand above the noise."""
    real = [f"{one.factor} ({100 * one.share:.0f} % of the variance)" for one in found.found if one.above_noise]
    if not real:
        return "None shows above the noise floor: these trials do not tell which factor matters."
    return f"Above the noise floor: {', '.join(real)}."
