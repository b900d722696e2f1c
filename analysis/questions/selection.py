"""What the selected configuration is worth: the score of the best of K, and its difference to the baseline.

Both are corrected for the choice (analysis.stats.bbc); whether any candidate beats the baseline is tested with all of
them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.questions.ranking import states
from analysis.results.results import Results, Trial
from analysis.stats.bbc import DRAWS, bbc, leave_subject_out, moved, recentred
from analysis.stats.confusion import Confusions, Counts
from analysis.stats.inference import RESAMPLES, Interval, compare, interval, stands, swaps
from analysis.stats.scores import Cost
from analysis.tables import Column, Row, Table, absent, number, probability, text
from analysis.tables import interval as interval_cell

_SWAPS_OF = 60  # candidates: of more, each has fewer swaps, that the report of thousands takes seconds
_FEWEST_SWAPS = 499


@dataclass(frozen=True, eq=False)
class Selection:
    """The best of K. tried: a trial of each of the K, pruned and failed too; candidates: those that could be chosen.

    naive: its own interval, which does not hold after the choice. corrected: the UF1 of pooled out-of-bag confusions
    with the winner's own error around it. left_out: UF1 when every subject is predicted by the best of the others.
    again: share of resamples of the subjects in which it wins again. compared: on which seeds, in words, where the
    candidates have others or not as many. subjects: by how many subjects' scores it was chosen. difference: to the
    search's baseline, corrected as the score is; p: that the winner beats it, by max-T over all candidates, and as many
    more as were tried; None where the winner is the baseline, or that is no candidate. beating: all that beat it.
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
    subjects: int
    difference: tuple[float, float, float] | None
    p: float | None
    beating: tuple[str, ...]
    swaps: int

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
    every = np.stack(list(counts.values()))
    every = every[:, (every.sum((2, 3, 4)) > 0).all(0)]  # searches of several studies may hold out other subjects
    if every.shape[1] < 2:
        return None
    names = list(counts)
    baseline = _baseline(tried, names)
    found = bbc(every, baseline)
    winner, naive = names[found.best], interval(every[found.best])
    difference, p, beating, made = _against(
        dict(zip(names, every, strict=True)),
        winner,
        None if baseline is None else names[baseline],
        found.difference,
        len(by_name) - len(counts),
    )
    return Selection(
        stage=tried[0].stage,
        winner=winner,
        tried=tuple(next((trial for trial in own if not trial.complete), own[0]) for own in by_name.values()),
        candidates=len(counts),
        compared=compared,
        naive=naive,
        corrected=(found.corrected, *recentred(found.corrected, naive, every.shape[1])),
        left_out=leave_subject_out(every),
        again=found.again,
        parameters=Cost.of(whole[winner]).parameters,
        subjects=every.shape[1],
        difference=difference,
        p=p,
        beating=beating,
        swaps=made,
    )


def _baseline(tried: Sequence[Trial], candidates: Sequence[str]) -> int | None:
    """The place of the baseline among the candidates: a search's first trial, which no race can stop."""
    first = min((trial for trial in tried if trial.arm is None), key=lambda trial: trial.trial, default=None)
    return candidates.index(first.name) if first and first.name in candidates else None


def _against(
    every: Mapping[str, Counts], best: str, baseline: str | None, corrected: float, missing: int
) -> tuple[tuple[float, float, float] | None, float | None, tuple[str, ...], int]:
    """The best's corrected difference to the baseline with its interval, its p; all that beat it; of how many swaps.

    missing: so many more were tried. Who was pruned left the family for its score: its share of the level is kept.
    """
    if baseline is None or baseline == best:
        return None, None, (), 0
    others = {name: counts for name, counts in every.items() if name != baseline}
    many = max(_FEWEST_SWAPS, min(RESAMPLES, RESAMPLES * _SWAPS_OF // len(every)))
    made = swaps(every[baseline].shape[0], many)
    seen = compare(every[baseline], others, others.keys(), made, missing)
    beating = tuple(name for name, one in seen.items() if one.verdict == "better")
    low, high = moved(corrected, seen[best])
    return (corrected, low, high), seen[best].p_adjusted, beating, len(made.keep)


def table(found: Selection) -> Table:
    """The naive score beside what is left of it."""
    columns = (
        Column("Reading", ("reading",), numeric=False),
        Column("UF1 [95 % CI]", ("uf1", "uf1_low", "uf1_high")),
        Column("ΔUF1 to the baseline [95 % CI]", ("difference", "difference_low", "difference_high")),
        Column("Optimism", ("optimism",)),
        Column("K", ("k",)),
        Column("P(selected again)", ("again",)),
        Column("Params", ("parameters",)),
    )
    naive = found.naive.estimate
    shared = (number(len(found.tried)), number(found.again, 2), number(found.parameters))
    rows = (
        Row("missing", (text("naive: best of K"), number(naive, 3, parts=3), absent(3), absent(), *shared)),
        Row(
            "variant",
            (
                text("corrected (BBC-CV, pooled)"),
                interval_cell(found.corrected),
                interval_cell(found.difference, signed=True),
                number(found.optimism, 3),
                *shared,
            ),
        ),
        Row(
            "plain",
            (
                text("leave-subject-out choice"),
                number(found.left_out, 3, parts=3),
                absent(3),
                absent(),
                *shared,
            ),
        ),
    )
    caption = (
        f"K = {len(found.tried)} configurations tried ({states(found.tried)}), {found.candidates} of them candidates: "
        "only complete ones can be chosen, all count in K. Chosen by pooled UF1, mean over seeds: "
        f"{found.winner}. Corrected: {DRAWS:,} draws of the {found.subjects} subjects that choose; the best on "
        "those drawn predicts those left out, the out-of-bag confusions of all draws pooled. Its 95 % interval is the "
        "selected configuration's subject jackknife, t(n − 1), logit scale, around the corrected score. "
        "Leave-subject-out choice: each subject predicted by the best of the others; free of bias too, but noisier."
    )
    if found.difference:
        caption += (
            " ΔUF1: of these predictions to the baseline's of the same subjects, around it t(n − 1) times the error of "
            "the naive difference. The pruned trials and the proposals are not redone in each draw."
        )
    if any(trial.state == "pruned" for trial in found.tried):
        caption += (
            " What a race left over is a selected set: of equal configurations the corrected score is still .010 to "
            ".014 too high, the corrected difference .01 to .03."
        )
    caption += f" {found.compared}" if found.compared else ""
    notes = ["No interval is given for the naive score: it would not hold after the choice."]
    if found.p is not None:
        notes.append(
            f"Does {found.winner} beat the search's baseline? Step-down max-T over all {found.candidates} candidates "
            f"on the search's own seeds ({found.swaps:,} swaps, the observed one among them){_lost(found)} gives it p "
            f"{probability(found.p).text}: this test holds its level whatever was chosen by these scores."
            f"{_others(found)}"
        )
    if found.naive.se == 0:
        notes.append(
            "The selected configuration has no error of its own (its subjects are all alike): the corrected interval "
            f"is its naive one ({found.naive.method}), stretched to the corrected score."
        )
    return Table("selection", "The selected configuration", caption, columns, rows, tuple(notes))


def _lost(found: Selection) -> str:
    """That candidates which have no result keep their share of the level."""
    lost = len(found.tried) - found.candidates
    return f", with the share of the level of {lost} more that were tried and have no result," if lost else ""


def _others(found: Selection) -> str:
    """Who else stands by the same test."""
    others = [name for name in found.beating if name != found.winner]
    return f" So do, by the same test, {', '.join(others)}." if others else ""


def answer(found: Selection) -> str:
    """The correction in a sentence."""
    value, low, high = found.corrected
    again = f"in {100 * found.again:.0f} % of resamples of the subjects it would be chosen again{_beats(found)}"
    return (
        f"Not quite: the best of {len(found.tried)}, {found.winner}, scores {found.naive.estimate:.3f}; corrected for "
        f"having been chosen by that score, {value:.3f} [{low:.3f}, {high:.3f}]; {again}."
        if found.optimism > 5e-4
        else f"Yes: the best of {len(found.tried)}, {found.winner}, scores {found.naive.estimate:.3f}, and the choice "
        f"explains none of it (corrected {value:.3f} [{low:.3f}, {high:.3f}]); {again}."
    )


def _beats(found: Selection) -> str:
    """Whether it beats the baseline, by the test over all candidates."""
    if found.p is None or found.difference is None:
        return ""
    said = "it beats the search's baseline" if stands(found.p) else "that it beats the search's baseline is not shown"
    span = interval_cell(found.difference, signed=True).text
    return f"; {said} (max-T over all candidates: p {probability(found.p).text}; ΔUF1 corrected {span})"


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
    """The proposals of the last search; without one, the arms of a stage in which none was the baseline beforehand."""
    searches = [trial.stage for trial in results.trials if trial.arm is None]
    search = [trial for trial in results.trials if trial.arm is None and trial.stage == searches[-1]]
    if search or results.metadata.baseline is not None:
        return search
    last = results.metadata.arms[-1].stage if results.metadata.arms else None
    return [trial for trial in results.trials if trial.stage == last]
