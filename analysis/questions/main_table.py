"""The one-at-a-time table around a baseline, and what it says in plain sentences."""

from dataclasses import replace

from analysis.questions import captions
from analysis.questions.ablation import Ablation, Finding, is_permuted
from analysis.questions.choice import ON_CHOOSERS
from analysis.questions.constant_answers import Constant, OneAnswer
from analysis.questions.winner import WINNER
from analysis.results.results import Results
from analysis.stats.inference import LEVEL, Comparison
from analysis.tables import Cell, Column, Row, Table, absent, interval, number, tally, text

UF1 = Column("UF1 [95 % CI]", ("uf1", "uf1_low", "uf1_high"))
TESTED = Column("UF1 tested [95 % CI]", ("uf1_tested", "uf1_tested_low", "uf1_tested_high"))
IN_A_PAPER = ("Variant", "UF1 [95 % CI]", "UAR", "Acc", "ΔUF1 [95 % CI]", "p adj", "Verdict", "Params")
# Words behind a verdict against a baseline that gives one answer for all clips.
AGAINST_ONE_ANSWER = {
    "better": "than one answer for all",
    "worse": "than one answer for all",
    "equivalent": "to one answer for all",
    "identical": "to one answer for all",
    "inconclusive": "against one answer for all",
}
COLUMNS = (
    Column("Variant", ("variant",), numeric=False),
    UF1,
    Column("Seed SD", ("seed_sd",)),
    Column("UAR", ("uar",)),
    Column("Acc", ("accuracy",)),
    Column("ΔUF1 [95 % CI]", ("difference", "difference_low", "difference_high")),
    Column("p", ("p",)),
    Column("p adj", ("p_adjusted",)),
    Column("W/T/L", ("wins", "ties", "losses")),
    Column("Verdict", ("verdict", "why"), numeric=False),
    Column("Bound on Δ", ("bound",)),
    Column("Params", ("parameters",)),
    Column("M mult-adds", ("million_multiply_adds",)),
    Column("Seconds", ("seconds",)),
    Column("Seeds", ("seeds",)),
)


def headline(results: Results, found: Ablation) -> Table:
    """Every arm: its pooled metrics, its difference to the baseline, verdict and cost; then the constant answer."""
    rows = [Row("missing" if f.score is None else f.kind, _cells(f, found)) for f in found.findings]
    always = found.constant
    rows += [Row("constant", _constant_cells(always))] if always else []
    notes = (*captions.notes(found), *captions.limits(found))
    whole = Table(found.stage, title(found), captions.caption(results, found), COLUMNS, tuple(rows), notes)
    return whole if found.testers is None else _with_tested(whole, found)


def _with_tested(whole: Table, found: Ablation) -> Table:
    """The table with a column more: the UF1 of the subjects that had no vote in the choice."""
    at = 1 + COLUMNS.index(UF1)
    scores = [f.tested.interval if f.tested else None for f in found.findings]
    cells = [interval((own.estimate, own.low, own.high) if own else None) for own in scores]
    cells += [absent(3)] * (len(whole.rows) - len(cells))
    rows = tuple(
        replace(row, cells=(*row.cells[:at], cell, *row.cells[at:]))
        for row, cell in zip(whole.rows, cells, strict=True)
    )
    return replace(whole, columns=(*COLUMNS[:at], TESTED, *COLUMNS[at:]), rows=rows)


def paper(whole: Table) -> Table:
    """The columns of a stage's table that a paper has room for at the size of its text."""
    titles = {*IN_A_PAPER, TESTED.title} - {"Acc"} if TESTED in whole.columns else {*IN_A_PAPER}
    at = [i for i, column in enumerate(whole.columns) if column.title in titles]
    columns = tuple(whole.columns[i] for i in at)
    rows = tuple(Row(row.kind, tuple(row.cells[i] for i in at)) for row in whole.rows)
    return Table(f"{whole.name}-paper", whole.title, whole.caption, columns, rows, whole.notes)


def title(found: Ablation) -> str:
    """The stage's name as a heading."""
    names = {"ablate": "Ablation", "confirm": "Confirmation", "predictions": "Comparison"}
    return names.get(found.stage, f"Stage {found.stage}")


def sentence(found: Ablation) -> str:
    """The table in one sentence: which variants are worse, better, equivalent, undecided. What the winner is before."""
    base = found.baseline
    if base is None or base.score is None:
        return f"No complete {found.centre}, so no differences: the arms' own scores are below."
    same = found.unlearned
    groups = [
        f"{verdict}: {', '.join(_named(f) for f in found.family if f.comparison and f.comparison.verdict == verdict)}"
        for verdict in ("worse", "better", "equivalent", "inconclusive", "identical")
        if any(f.comparison and f.comparison.verdict == verdict for f in found.family)
    ]
    name = f"The {found.centre}" if base.arm.arm == found.centre else f"The baseline {base.arm.arm}"
    start = f"{name} reaches UF1 {interval(base.span).text}"
    if same:
        start += f", but {same}: it has learned nothing"
    said = f"{start}; against it{_by(found)} {'; '.join(groups) or 'nothing was compared'}."
    return f"{found.winner} {said}" if found.winner else said


def _by(found: Ablation) -> str:
    """By whom it was judged, where that needs to be said."""
    if not found.chosen or not found.family:
        return ""
    return (
        f", {ON_CHOOSERS},"
        if found.testers is None
        else f", on the {found.tests} subjects that had no vote in the choice,"
    )


def question(found: Ablation) -> str:
    """What the stage asks: of its one variant, or of all of them."""
    family = found.family
    if found.baseline is None or not family:
        return "How well does each configuration do?"
    if len(family) == 1:
        return f"Does {_described(family[0])} beat {found.baseline.arm.arm}?"
    return f"What does each change to the {found.centre} do?"


def questions(found: Ablation) -> tuple[tuple[str, str], ...]:
    """A question and its plain answer for each variant, where there are several."""
    same = found.unlearned
    warned = f" The {found.centre} {same}: a network that has learned nothing is no rival." if same else ""
    if found.chosen and found.testers is None:
        warned = f" That is {ON_CHOOSERS}.{warned}"
    return tuple(
        (f"Does {_described(f)} beat the {found.centre}?", plain(f.comparison, found.margin) + warned)
        for f in found.family
        if f.comparison
    )


def plain(seen: Comparison, margin: float) -> str:
    """A comparison in words, for readers who do not read p."""
    span = interval(seen.shown, signed=True).text
    corrected = "; it does not stand after correction for the number of variants" * (seen.p <= 1 - LEVEL)
    few = f"; it differs on {seen.differing} of the subjects only, too few for a 90 % interval"
    left = few if seen.bound is None else f"; the 90 % interval leaves differences up to {seen.bound:.3f}"
    return {
        "better": f"Yes: ΔUF1 {span}, on {seen.wins} subjects more clips right, on {seen.losses} fewer.",
        "worse": f"No, it is worse: ΔUF1 {span}, on {seen.losses} subjects fewer clips right, on {seen.wins} more.",
        "equivalent": f"Practically equal: ΔUF1 {span}; the 90 % interval excludes differences above "
        f"{seen.bound or 0.0:.3f} (limit ±{margin:g}).",
        "inconclusive": f"Not shown: ΔUF1 {span}{corrected}{left}.",
        "identical": "No difference at all: the predictions are identical, by subject, seed and class.",
    }[seen.verdict]


def _named(finding: Finding) -> str:
    """In a list: a name that has commas of its own in quotes."""
    return f"“{finding.arm.arm}”" if "," in finding.arm.arm else finding.arm.arm


def _described(finding: Finding) -> str:
    """An arm by its name, and by its changes where the name does not say them."""
    changes = ", ".join(f"{name}={level}" for name, level in finding.arm.changes.items())
    silent = changes and changes != finding.arm.arm and "configuration" not in finding.arm.changes
    return f"{finding.arm.arm} ({changes})" if silent else finding.arm.arm


def verdict(finding: Finding, base: OneAnswer | None = None, all_chose: bool = False) -> str | None:
    """The verdict's word in the table, or the word for what is missing.

    base: where the baseline gives one answer. all_chose: where every subject that tests had a vote in what was chosen.
    """
    if finding.gap is not None:
        return finding.gap.state
    if is_permuted(finding.arm) and finding.score:
        near = finding.score.interval
        above, below = near.low > finding.score.chance, near.high < finding.score.chance
        return "above chance" if above else "below chance" if below else "at chance"
    if finding.shuffled:
        return finding.shuffled.verdict
    if finding.kind == "null":
        return "one repetition"
    if finding.comparison is None:
        return None
    word: str = finding.comparison.verdict
    if base and base.always and finding.kind == "variant":
        word = f"{word} {AGAINST_ONE_ANSWER[finding.comparison.verdict]}"
    return f"{word}, {ON_CHOOSERS}" if all_chose and finding.chosen and finding.kind == "variant" else word


def _cells(finding: Finding, stage: Ablation) -> tuple[Cell, ...]:
    score, found, cost = finding.score, finding.comparison, finding.cost
    says_itself = finding.arm.arm in (finding.kind, WINNER) or finding.kind in ("variant", "null")
    mark = "" if says_itself else f" ({finding.kind})"
    daggers = f" {finding.marks}" if finding.marks else ""
    return (
        text(finding.arm.arm + mark + daggers),
        interval(finding.span),
        number(score.seed_sd if score else None, 3),
        number(score.uar if score else None, 3),
        number(score.accuracy if score else None, 3),
        interval(found.shown if found else finding.difference, signed=True),
        number(found.p if found else None, 4),
        number(found.p_adjusted if found else None, 4),
        tally((found.wins, found.ties, found.losses) if found else None),
        text(verdict(finding, stage.unlearned, stage.testers is None), finding.gap.reason if finding.gap else ""),
        number(found.bound if found else None, 3),
        number(cost.parameters),
        number(None if cost.multiply_adds is None else cost.multiply_adds / 1e6, 2),
        number(cost.seconds, 1),
        number(len(finding.seeds) or None),
    )


def _constant_cells(always: Constant) -> tuple[Cell, ...]:
    own = always.score.interval
    shown = {
        "Variant": text(f"constant answer: {always.label}"),
        "UF1 [95 % CI]": interval((own.estimate, own.low, own.high)),
        "UAR": number(always.score.uar, 3),
        "Acc": number(always.score.accuracy, 3),
    }
    return tuple(shown.get(column.title, absent(len(column.names))) for column in COLUMNS)
