"""What choosing among a stage's configurations is worth: the nested reading beside the naive and the corrected one.

Within every outer fold the configuration is chosen by inner folds of the other subjects, and predicts the subject that
no part of the choice has seen (Varma and Simon, 2006): the score is the procedure's, choice included.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from analysis.questions.ablation import Ablation
from analysis.results.results import Results
from analysis.stats.bbc import DRAWS, bbc, recentred
from analysis.stats.confusion import Confusions
from analysis.stats.inference import Comparison, Interval, compare, interval
from analysis.tables import Column, Row, Table, absent, number, text
from analysis.tables import interval as interval_cell


@dataclass(frozen=True, eq=False)
class Nested:
    """The procedure of a stage: its score, its difference to the baseline, how often it chose each candidate.

    naive: of the best of all, chosen by the very scores it is shown with. corrected: that, by BBC-CV.
    """

    stage: str
    score: Interval
    against: Comparison | None
    times: Counter[str]
    best: str
    naive: float
    corrected: tuple[float, float, float]
    inner: str


def nested(results: Results, counted: Confusions, found: Ablation) -> Nested | None:
    """None where nothing was chosen inside folds, or candidates have other seeds."""
    chosen = {
        (seed, dataset, subject): arm
        for stage, seed, dataset, subject, arm in results.metadata.chosen_inside
        if stage == found.stage
    }
    candidates = {f.arm.arm: f.score.counts for f in found.findings if f.kind in ("baseline", "variant") and f.score}
    if not chosen or len({counts.shape for counts in candidates.values()}) != 1:
        return None
    seeds = sorted({seed for seed, *_ in chosen})
    own = np.zeros_like(next(iter(candidates.values())))
    if own.shape[1] != len(seeds):
        return None
    for row, (dataset, subject) in enumerate(counted.subjects):
        for column, seed in enumerate(seeds):
            own[row, column] = candidates[chosen[seed, dataset, subject]][row, column]
    names, every = list(candidates), np.stack(list(candidates.values()))
    choice = bbc(every)
    naive = interval(every[choice.best])
    base = found.baseline
    return Nested(
        stage=found.stage,
        score=interval(own),
        against=compare(base.score.counts, {"": own}, [""], margin=found.margin)[""] if base and base.score else None,
        times=Counter(chosen.values()),
        best=names[choice.best],
        naive=naive.estimate,
        corrected=(choice.corrected, *recentred(choice.corrected, naive, len(own))),
        inner=results.metadata.protocol,
    )


def table(found: Nested) -> Table:
    """Three readings of the choice, the one that holds last."""
    columns = (
        Column("Reading", ("reading",), numeric=False),
        Column("UF1 [95 % CI]", ("uf1", "uf1_low", "uf1_high")),
        Column("ΔUF1 to the baseline [95 % CI]", ("difference", "difference_low", "difference_high")),
        Column("p", ("p",)),
    )
    own, seen = found.score, found.against
    rows = (
        Row("missing", (text(f"naive: {found.best}"), number(found.naive, 3, parts=3), absent(3), absent())),
        Row("plain", (text("corrected (BBC-CV, pooled)"), interval_cell(found.corrected), absent(3), absent())),
        Row(
            "variant",
            (
                text("nested: the procedure"),
                interval_cell((own.estimate, own.low, own.high)),
                interval_cell(seen.shown if seen else None, signed=True),
                number(seen.p if seen else None, 4),
            ),
        ),
    )
    total = found.times.total()
    often = "; ".join(f"{name} {100 * many / total:.0f} %" for name, many in found.times.most_common())
    caption = (
        f"Nested ({found.inner}): within every outer fold and seed the candidate with the best pooled UF1 of the inner "
        "folds predicts the subject, which no part of its choice has seen; interval and p by subjects, as of a row of "
        f"the table. Chosen in so many of the outer folds: {often}. Naive: the best by the scores that are shown. "
        f"Corrected: that, by {DRAWS:,} draws of the subjects."
    )
    notes = ("The nested score is that of choosing by such a study, not of one configuration.",)
    return Table(f"{found.stage}-nested", "What the choice is worth", caption, columns, rows, notes)


def answer(found: Nested) -> str:
    """In a sentence."""
    own = found.score
    often = found.times.most_common(1)[0]
    return (
        f"Choosing inside every fold scores {own.estimate:.3f} [{own.low:.3f}, {own.high:.3f}], where the best of all "
        f"by its own score, {found.best}, shows {found.naive:.3f}; most often chosen: "
        f"{often[0]}."
    )
