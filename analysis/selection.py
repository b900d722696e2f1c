"""What the selected configuration is worth: the score of the best of K, corrected for having been chosen.

BBC-CV (Tsamardinos, Greasidou and Borboudakis, 2018) with subjects as the unit and the out-of-bag confusions pooled
over all draws: a mean of UF1 over out-of-bag sets of six subjects would be too low.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

from analysis.confusion import Confusions, Counts
from analysis.inference import LEVEL, Interval, interval
from analysis.metrics import parts, uf1, uf1_of
from analysis.ranking import states
from analysis.results import Results, Trial
from analysis.scores import Cost
from analysis.tables import Column, Row, Table, absent, number, text
from analysis.tables import interval as interval_cell
from search_spaces.identity import stream

DRAWS = 2_000
_AT_ONCE = 200  # candidates


@dataclass(frozen=True, eq=False)
class Selection:
    """The best of K. tried: a trial of each of the K, pruned and failed too; candidates: those that could be chosen.

    naive: its own interval, which does not hold after the choice. corrected: the UF1 of pooled out-of-bag confusions
    with the winner's own error around it. left_out: UF1 when every subject is predicted by the best of the others.
    again: share of resamples of the subjects in which it wins again. compared: on which seeds, in words, where the
    candidates have others or not as many.
    """

    stage: str
    winner: str
    tried: tuple[Trial, ...]
    candidates: int
    compared: str
    naive: Interval
    corrected: tuple[float, float, float]
    left_out: float
    again: float
    parameters: int | None

    @property
    def optimism(self) -> float:
        return self.naive.estimate - self.corrected[0]


def select(results: Results, counted: Confusions) -> Selection | None:
    """The best of the search, or of the arms where no baseline was named beforehand; None with fewer than two.

    Ties go to the lower number.
    """
    tried = _tried(results)
    by_name: dict[str, list[Trial]] = {}
    for trial in tried:
        by_name.setdefault(trial.name, []).append(trial)
    whole = {name: own for name, own in by_name.items() if all(trial.complete for trial in own)}
    counts, compared = _candidates(whole, counted)
    if len(counts) < 2:
        return None
    best, corrected, again = bbc(np.stack(list(counts.values())))
    winner = list(counts)[best]
    naive = interval(counts[winner])
    return Selection(
        stage=tried[0].stage,
        winner=winner,
        tried=tuple(next((trial for trial in own if not trial.complete), own[0]) for own in by_name.values()),
        candidates=len(counts),
        compared=compared,
        naive=naive,
        corrected=(corrected, *recentred(corrected, naive, len(counted.subjects))),
        left_out=leave_subject_out(np.stack(list(counts.values()))),
        again=again,
        parameters=Cost.of(whole[winner]).parameters,
    )


def bbc(candidates: Counts) -> tuple[int, float, float]:
    """(index of the best, its corrected UF1, share of resamples in which it wins) of counts [M, N, S, K, K].

    Subjects are drawn with replacement; the best on those drawn predicts those left out; these predictions are summed
    over all draws, then scored once.
    """
    many, subjects, seeds, classes = candidates.shape[:4]
    generator = np.random.Generator(np.random.Philox(stream("analysis", "subject bootstrap", subjects)))
    drawn = generator.multinomial(subjects, np.full(subjects, 1 / subjects), DRAWS).astype(np.float64)
    pieces = np.moveaxis(parts(candidates), 2, 1).reshape(2, subjects, -1)  # [2, N, M S K]
    best = int(np.argmax(np.round(uf1(candidates.sum(1)).mean(-1), 12)))
    wins, highest = np.zeros(DRAWS, np.int64), np.full(DRAWS, -1.0)
    for start in range(0, many, _AT_ONCE):  # thousands of candidates by all draws would take gigabytes
        some = pieces[..., start * seeds * classes : (start + _AT_ONCE) * seeds * classes]
        pooled = np.stack([drawn @ piece for piece in some]).reshape(2, DRAWS, -1, seeds, classes)
        scores = np.round(uf1_of(pooled).mean(-1), 12)
        won = scores.max(-1) > highest
        wins[won], highest[won] = start + scores.argmax(-1)[won], scores.max(-1)[won]
    winners, place = np.unique(wins, return_inverse=True)
    out_of_bag = (place[:, None] == np.arange(len(winners))).astype(np.float64).T @ (drawn == 0)  # [winners, N]
    pooled = np.einsum("mn,mnskl->skl", out_of_bag, candidates[winners])
    return best, float(uf1(pooled).mean()), float((wins == best).mean())


def leave_subject_out(candidates: Counts) -> float:
    """UF1 when each subject is predicted by the best configuration of all others, from counts [M, N, S, K, K]."""
    without = uf1(candidates.sum(1, keepdims=True) - candidates).mean(-1)  # [M, N]
    wins = np.argmax(np.round(without, 12), 0)
    return float(uf1(candidates[wins, np.arange(candidates.shape[1])].sum(0)).mean())


def recentred(estimate: float, naive: Interval, subjects: int) -> tuple[float, float]:
    """95 % interval on the logit scale with t(N - 1) around a corrected UF1, with the selected configuration's SE.

    Where that is 0 (a UF1 of exactly 0 or 1, or subjects all alike) the naive interval, stretched to the corrected UF1.
    """
    if naive.se == 0:
        return min(naive.low, estimate), max(naive.high, estimate)
    if not 0 < estimate < 1:
        return 0.0, 1.0
    half = stdtrit(subjects - 1, (1 + LEVEL) / 2) * naive.se / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-half, half])).tolist()
    return low, high


def table(found: Selection, subjects: int) -> Table:
    """The naive score beside what is left of it."""
    columns = (
        Column("Reading", ("reading",), numeric=False),
        Column("UF1 [95 % CI]", ("uf1", "uf1_low", "uf1_high")),
        Column("Optimism", ("optimism",)),
        Column("K", ("k",)),
        Column("P(selected again)", ("again",)),
        Column("Params", ("parameters",)),
    )
    naive = found.naive.estimate
    shared = (number(len(found.tried)), number(found.again, 2), number(found.parameters))
    rows = (
        Row("missing", (text("naive: best of K"), number(naive, 3, parts=3), absent(), *shared)),
        Row(
            "variant",
            (text("corrected (BBC-CV, pooled)"), interval_cell(found.corrected), number(found.optimism, 3), *shared),
        ),
        Row(
            "plain",
            (
                text("leave-subject-out choice"),
                number(found.left_out, 3, parts=3),
                number(naive - found.left_out, 3),
                *shared,
            ),
        ),
    )
    caption = (
        f"K = {len(found.tried)} configurations tried ({states(found.tried)}), {found.candidates} of them candidates: "
        "only complete ones can be chosen, all count in K. Chosen by pooled UF1, mean over seeds: "
        f"{found.winner}. Corrected: {DRAWS:,} draws of the {subjects} subjects; the best on those drawn predicts "
        "those left out, the out-of-bag confusions of all draws pooled. Its 95 % interval is the selected "
        "configuration's subject jackknife, t(n − 1), logit scale, around the corrected score. Leave-subject-out "
        "choice: each subject predicted by the best of the others; free of bias too, but noisier."
    )
    caption += f" {found.compared}" if found.compared else ""
    notes = ["No interval is given for the naive score: it would not hold after the choice."]
    if found.naive.se == 0:
        notes.append(
            "The selected configuration has no error of its own (its subjects are all alike): the corrected interval "
            f"is its naive one ({found.naive.method}), stretched to the corrected score."
        )
    return Table("selection", "The selected configuration", caption, columns, rows, tuple(notes))


def answer(found: Selection) -> str:
    """The correction in a sentence."""
    value, low, high = found.corrected
    again = f"in {100 * found.again:.0f} % of resamples of the subjects it would be chosen again"
    return (
        f"Not quite: the best of {len(found.tried)}, {found.winner}, scores {found.naive.estimate:.3f}; corrected for "
        f"having been chosen by that score, {value:.3f} [{low:.3f}, {high:.3f}]; {again}."
        if found.optimism > 5e-4
        else f"Yes: the best of {len(found.tried)}, {found.winner}, scores {found.naive.estimate:.3f}, and the choice "
        f"explains none of it (corrected {value:.3f} [{low:.3f}, {high:.3f}]); {again}."
    )


def _candidates(whole: Mapping[str, Sequence[Trial]], counted: Confusions) -> tuple[dict[str, Counts], str]:
    """Counts of the complete configurations with as many seeds each, and how that was brought about, in words.

    Over the seeds that all of them have; where they share none, those with the most common number of seeds.
    """
    seeds = [{seed for trial in own for seed in trial.seeds} for own in whole.values()]
    common = set.intersection(*seeds) if seeds else set[int]()
    numbers = {name: [trial.trial for trial in own] for name, own in whole.items()}
    counts = {name: counted.of(own, common or None) for name, own in numbers.items()}
    if common:
        cut = sum(own != common for own in seeds)
        shared = ", ".join(map(str, sorted(common)))
        return counts, f"{cut} of them have further seeds: all are scored on the common ones ({shared})." if cut else ""
    many = Counter(one.shape[1] for one in counts.values())
    usual = max(many, key=lambda size: (many[size], size), default=0)
    kept = {name: one for name, one in counts.items() if one.shape[1] == usual}
    left = len(counts) - len(kept)
    return kept, f"{left} complete ones are left out: they have another number of seeds than {usual}." if left else ""


def _tried(results: Results) -> Sequence[Trial]:
    """The proposals of a search; without one, the arms of a stage in which none was the baseline beforehand."""
    search = [trial for trial in results.trials if trial.stage == "search"]
    if search or results.metadata.baseline is not None:
        return search
    last = results.metadata.arms[-1].stage if results.metadata.arms else None
    return [trial for trial in results.trials if trial.stage == last]
