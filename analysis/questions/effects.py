"""Effects of factors: what a level changes, averaged over the other factors, and what two levels change together.

Every effect is a linear contrast of the configurations' seed-averaged pooled UF1: least squares on the design, so that
in a complete factorial it is the plain difference of marginal means. Errors are those of the subjects
(analysis.stats.contrasts): a mixed model with intercepts alone would take the subjects' own slopes for precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from analysis.questions.ablation import Ablation, levels
from analysis.questions.factors import NOT_APPLICABLE, varied
from analysis.results.results import Results
from analysis.stats.confusion import Counts
from analysis.stats.contrasts import Halves, by_jackknife, by_swaps
from analysis.stats.inference import LEVEL
from analysis.stats.metrics import Floats
from analysis.tables import Column, Row, Table, interval, number, probability, text

RANK = 1e-9  # a contrast is estimable if least squares gives it back this well


@dataclass(frozen=True)
class Effect:
    """A contrast of UF1 with its 95 % interval. p_adjusted: over all effects of the table.

    Main effect: `level` minus `reference` of one factor. Interaction of two: by how much the effect of the first is
    another at the second's level than at its reference.
    """

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    references: tuple[str, ...]
    difference: float
    low: float
    high: float
    se: float
    p: float
    p_adjusted: float

    @property
    def name(self) -> str:
        """`depth 2 → 3`, or `depth 2 → 3 × fusion none → late`."""
        steps = zip(self.factors, self.references, self.levels, strict=True)
        return " × ".join(f"{factor} {reference} → {level}" for factor, reference, level in steps)


@dataclass(frozen=True, eq=False)
class Effects:
    """Main effects, then two-way interactions, of a stage's configurations. complete: every combination was run.

    swapped: whether p is by swaps of levels, else by the jackknife. aliased: effects that cannot be told. absorbed:
    main effect -> interactions that its contrast takes up, so that it is right only if there are none of these. margin:
    up to which a difference is of no practical matter.
    """

    stage: str
    effects: tuple[Effect, ...]
    aliased: tuple[str, ...]
    absorbed: Mapping[str, tuple[str, ...]]
    configurations: int
    complete: bool
    swapped: bool
    seeds: int
    margin: float

    @property
    def main(self) -> tuple[Effect, ...]:
        return tuple(effect for effect in self.effects if len(effect.factors) == 1)


@dataclass(frozen=True)
class _Term:
    """An effect to estimate: levels of one or two factors, with the column of the design that carries it.

    centred: the same column less its mean over the levels of each factor. For two factors it is an interaction that
    averages to nothing over either of them, as main effects are averages over all combinations.
    """

    factors: tuple[str, ...]
    levels: tuple[Any, ...]
    column: Floats
    centred: Floats


def effects(results: Results, found: Ablation) -> Effects | None:
    """Of the baseline and variants of a stage; None where no effect is an average over other settings.

    That is so in a one-at-a-time table: each effect is the difference of two arms, and stands there already.
    """
    cells = designed(results, found)
    if cells is None:
        return None
    settings, counts, reference = cells
    terms = _terms(settings, reference)
    weights, kept, aliased = _weights(terms, len(settings))
    if not any(np.count_nonzero(np.abs(row) > RANK) > 2 for row in weights):
        return None
    halves = [_halves(settings, term, row) for term, row in zip(kept, weights, strict=True)]
    told = [half for half in halves if half]
    swapped = len(told) == len(halves)
    estimates = by_swaps(counts, weights, told) if swapped else by_jackknife(counts, weights)
    rows = tuple(
        Effect(
            term.factors,
            tuple(map(str, term.levels)),
            tuple(str(reference[name]) for name in term.factors),
            **vars(estimate),
        )
        for term, estimate in zip(kept, estimates, strict=True)
    )
    combos = np.prod([len({str(own[name]) for own in settings}) for name in reference])
    different = {tuple(str(own[name]) for name in reference) for own in settings}
    pairs = [term for term in terms if len(term.factors) == 2]
    absorbed = {
        effect.name: tuple(_told(pair) for pair in pairs if abs(row @ pair.centred) > RANK)
        for effect, row in zip(rows, weights, strict=True)
        if len(effect.factors) == 1
    }
    return Effects(
        stage=found.stage,
        effects=rows,
        aliased=tuple(map(_told, aliased)),
        absorbed={name: taken for name, taken in absorbed.items() if taken},
        configurations=len(settings),
        complete=len(different) == combos,
        swapped=swapped,
        seeds=counts.shape[2],
        margin=found.margin,
    )


def designed(results: Results, found: Ablation) -> tuple[list[Mapping[str, Any]], Counts, Mapping[str, Any]] | None:
    """(level of every varied factor for each of M configurations, counts [M, N, S, K, K], reference levels), or None.

    None without a baseline, with fewer than two varied factors, or where all arms are one change from the baseline.
    """
    cells = found.comparable()
    if not cells:
        return None
    every = [levels(results, finding.arm) for finding, _ in cells]
    names = varied(every)
    settings: list[Mapping[str, Any]] = [{name: own.get(name, NOT_APPLICABLE) for name in names} for own in every]
    reference = settings[0]
    if max((sum(own[name] != reference[name] for name in names) for own in settings), default=0) < 2:
        return None
    return settings, found.of_testers(np.stack([score.counts for _, score in cells])), reference


def table(found: Effects) -> Table:
    """Main effects, then interactions."""
    columns = (
        Column("Effect", ("effect",), numeric=False),
        Column("ΔUF1 [95 % CI]", ("difference", "low", "high")),
        Column("SE", ("se",)),
        Column("p", ("p",)),
        Column("p adj", ("p_adjusted",)),
    )
    rows = tuple(
        Row("variant" if len(e.factors) == 1 else "plain", (
            text(e.name),
            interval((e.difference, e.low, e.high), signed=True),
            number(e.se, 3),
            probability(e.p),
            probability(e.p_adjusted),
        ))
        for e in found.effects
    )  # fmt: skip
    how = (
        "averaged over every combination of the other factors (complete factorial)"
        if found.complete
        else "main effects adjusted for each other by least squares, without interactions (not every combination was "
        "run)"
    )
    caption = (
        f"Effects of levels on pooled UF1, mean over seeds, {how}; {found.configurations} configurations. a → b: b "
        "minus a. An interaction (×) is the change of the first effect from the second's first level to its second. "
        f"Unit: the subject; 95 % interval and p {_how(found)} over the {len(found.effects)} rows."
    )
    notes = ["One seed: p refers to these trained models; seed variance is not assessed."] * (found.seeds == 1)
    notes += [f"{name}: aliased with others in this design, so it cannot be told." for name in found.aliased]
    notes += [
        f"{name}: takes up {', '.join(taken)}; right only without them." for name, taken in found.absorbed.items()
    ]
    return Table(f"{found.stage}-effects", "Effects of factors", caption, columns, rows, tuple(notes))


def _how(found: Effects) -> str:
    if found.swapped:
        return "by studentised swaps of each subject's two levels; p adj: step-down max-T"
    return "by the subject jackknife of each contrast, t(n − 1), which errs in .05 to .10 of effects of 0; p adj: Holm"


def answer(found: Effects) -> str:
    """Which factors matter, in a sentence."""
    real = [e for e in found.effects if e.p_adjusted <= 1 - LEVEL]
    told = {e: f"{e.name}: {number(e.difference, 3, signed=True).text}" for e in real}
    named = "; ".join(words for e, words in told.items() if len(e.factors) == 1)
    together = "; ".join(words for e, words in told.items() if len(e.factors) == 2)
    alone = any(e.name in found.absorbed for e in (real if named else found.main))
    start = f"Yes: {named}." if named else "None of the main effects stands after the correction for their number."
    if alone:
        start = f"If there are no interactions, which the table names: {start[0].lower()}{start[1:]}"
    if len(found.main) == len(found.effects):
        return f"{start} Which factors act together, these configurations cannot tell."
    return f"{start} Factors act together in {together}." if together else f"{start} No interaction stands."


def _terms(settings: Sequence[Mapping[str, Any]], reference: Mapping[str, Any]) -> list[_Term]:
    """Every level against its factor's reference, then every pair of such steps of two factors."""
    many = {name: len({str(s[name]) for s in settings}) for name in reference}
    main = [
        _Term(
            (name,), (level,), column := np.array([float(s[name] == level) for s in settings]), column - 1 / many[name]
        )
        for name, base in reference.items()
        for level in sorted({s[name] for s in settings if s[name] != base}, key=lambda v: (str(type(v)), v))
    ]
    pairs = [
        _Term((*a.factors, *b.factors), (*a.levels, *b.levels), a.column * b.column, a.centred * b.centred)
        for a, b in combinations(main, 2)
        if a.factors != b.factors
    ]
    return main + pairs


def _weights(terms: Sequence[_Term], cells: int) -> tuple[Floats, list[_Term], list[_Term]]:
    """Contrasts [E, M] of the effects that the design can tell, those effects, and the aliased ones.

    Main effects: least squares with main effects alone. Interactions: with all two-way interactions beside.
    """
    main = [term for term in terms if len(term.factors) == 1]
    weights, kept, aliased = [], [], []
    for term in terms:
        model = main if len(term.factors) == 1 else terms
        design = np.column_stack([np.ones(cells), *(t.column for t in model)])
        inverse = np.linalg.pinv(design)
        row = 1 + next(i for i, t in enumerate(model) if t is term)
        told = np.abs((inverse @ design)[row] - np.eye(design.shape[1])[row]).max() < RANK
        kept.append(term) if told else aliased.append(term)
        weights += [inverse[row]] if told else []
    return np.array(weights), kept, aliased


def _halves(settings: Sequence[Mapping[str, Any]], term: _Term, row: Floats) -> Halves | None:
    """The configurations that a contrast adds and those that it takes away, if each has a partner at the same weight.

    Partners differ in the first factor of the effect alone.
    """
    plus, minus = (np.flatnonzero(sign * row > RANK).tolist() for sign in (1, -1))
    if not plus or np.ptp(np.abs(row[plus + minus])) > RANK:
        return None
    first = term.factors[0]

    def rest(at: int) -> list[tuple[str, Any]]:
        return sorted((name, str(level)) for name, level in settings[at].items() if name != first)

    partners = [[other for other in minus if rest(other) == rest(at)] for at in plus]
    if any(len(own) != 1 for own in partners) or len({own[0] for own in partners}) < len(minus):
        return None
    return plus, [own[0] for own in partners]


def _told(term: _Term) -> str:
    return " × ".join(f"{name} {level}" for name, level in zip(term.factors, term.levels, strict=True))
