"""The one-at-a-time table around a baseline, and what it says in plain sentences."""

from collections.abc import Sequence

from analysis.ablation import Ablation, Finding, counted_seeds, is_permuted, median_detectable
from analysis.constant import Constant, OneAnswer
from analysis.inference import LEVEL, RESAMPLES, ROPE, Comparison
from analysis.results import Results
from analysis.tables import Cell, Column, Row, Table, absent, interval, number, tally, text
from analysis.winner import WINNER

PROTOCOLS = {"loso": "leave-one-subject-out"}
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
    Column("UF1 [95 % CI]", ("uf1", "uf1_low", "uf1_high")),
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
    rows = [Row("missing" if f.score is None else f.kind, _cells(f, found.unlearned)) for f in found.findings]
    always = found.constant
    rows += [Row("constant", _constant_cells(always))] if always else []
    notes = (*_notes(found), *_limits(found))
    return Table(found.stage, title(found), _caption(results, found), COLUMNS, tuple(rows), notes)


def paper(whole: Table) -> Table:
    """The columns of a stage's table that a paper has room for at the size of its text."""
    at = [i for i, column in enumerate(whole.columns) if column.title in IN_A_PAPER]
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
    value, same = base.score.interval, found.unlearned
    groups = [
        f"{verdict}: {', '.join(_named(f) for f in found.family if f.comparison and f.comparison.verdict == verdict)}"
        for verdict in ("worse", "better", "equivalent", "inconclusive", "identical")
        if any(f.comparison and f.comparison.verdict == verdict for f in found.family)
    ]
    name = f"The {found.centre}" if base.arm.arm == found.centre else f"The baseline {base.arm.arm}"
    start = f"{name} reaches UF1 {value.estimate:.3f} [{value.low:.3f}, {value.high:.3f}]"
    if same:
        start += f", but {same}: it has learned nothing"
    said = f"{start}; against it {'; '.join(groups) or 'nothing was compared'}."
    return f"{found.winner} {said}" if found.winner else said


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
    return tuple(
        (f"Does {_described(f)} beat the {found.centre}?", plain(f.comparison) + warned)
        for f in found.family
        if f.comparison
    )


def plain(seen: Comparison) -> str:
    """A comparison in words, for readers who do not read p."""
    span = interval(seen.shown, signed=True).text
    corrected = "; it does not stand after correction for the number of variants" * (seen.p <= 1 - LEVEL)
    few = f"; it differs on {seen.differing} of the subjects only, too few for a 90 % interval"
    left = few if seen.bound is None else f"; the 90 % interval leaves differences up to {seen.bound:.3f}"
    return {
        "better": f"Yes: ΔUF1 {span}, on {seen.wins} subjects more clips right, on {seen.losses} fewer.",
        "worse": f"No, it is worse: ΔUF1 {span}, on {seen.losses} subjects fewer clips right, on {seen.wins} more.",
        "equivalent": f"Practically equal: ΔUF1 {span}; the 90 % interval excludes differences above "
        f"{seen.bound or 0.0:.3f} (limit ±{ROPE}).",
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


def verdict(finding: Finding, base: OneAnswer | None = None) -> str | None:
    """The verdict's word in the table, or the word for what is missing. base: where the baseline gives one answer."""
    if finding.gap is not None:
        return finding.gap.state
    if is_permuted(finding.arm) and finding.score:
        near = finding.score.interval
        above, below = near.low > finding.score.chance, near.high < finding.score.chance
        return "ABOVE CHANCE" if above else "below chance" if below else "at chance"
    if finding.kind == "null":
        return "noise floor"
    if finding.comparison is None:
        return None
    word = finding.comparison.verdict
    return f"{word} {AGAINST_ONE_ANSWER[word]}" if base and base.always and finding.kind == "variant" else word


def _cells(finding: Finding, base: OneAnswer | None) -> tuple[Cell, ...]:
    score, found, cost = finding.score, finding.comparison, finding.cost
    says_itself = finding.arm.arm in (finding.kind, WINNER) or finding.kind in ("variant", "null")
    mark = "" if says_itself else f" ({finding.kind})"
    own = score.interval if score else None
    return (
        text(finding.arm.arm + mark),
        interval((own.estimate, own.low, own.high) if own else None),
        number(score.seed_sd if score else None, 3),
        number(score.uar if score else None, 3),
        number(score.accuracy if score else None, 3),
        interval(found.shown if found else None, signed=True),
        number(found.p if found else None, 4),
        number(found.p_adjusted if found else None, 4),
        tally((found.wins, found.ties, found.losses) if found else None),
        text(verdict(finding, base), finding.gap.reason if finding.gap else ""),
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


def _caption(results: Results, found: Ablation) -> str:
    about, rows = results.metadata, results.predictions
    clips = len(rows[["dataset", "subject", "clip_id"]].drop_duplicates())
    parts = [
        f"Pooled UF1 (confusions summed over all folds, MEGC 2019), {PROTOCOLS.get(about.protocol, about.protocol)}, "
        f"{about.dataset}: "
        f"{found.subjects} subjects, {clips} clips.",
        *([found.winner] if found.winner else []),
        "Unit of all intervals and tests: the subject. UF1: 95 % interval by subject jackknife, t(n − 1), logit scale.",
    ]
    if found.swaps:
        kind = f"all {2**found.subjects:,}" if found.swaps.exact else f"{RESAMPLES:,} random"
        family = len(found.family)
        parts.append(
            f"Δ: variant minus {found.centre}, seed-averaged; p and 95 % interval from {kind} studentised subject "
            f"swaps; p adj: step-down max-T over the {family} variant{'s' * (family != 1)}."
        )
    parts.append(f"{_seeds(found.findings)}; seed SD over them. Seconds: one LOSO run.")
    detectable = median_detectable(found.findings)
    if detectable is not None:
        parts.append(f"Minimum detectable difference (80 % power): {detectable:.3f}, median of the rows.")
    return " ".join(parts)


def _seeds(findings: Sequence[Finding]) -> str:
    counts = sorted({len(f.seeds) for f in findings if f.score})
    if not counts:
        return "No complete arm"
    return f"{f'{counts[0]} to ' * (len(counts) > 1)}{counted_seeds(counts[-1])} an arm"


def _notes(found: Ablation) -> list[str]:
    notes = [f"{f.arm.arm}: {f.gap.state}: {f.gap.reason}." for f in found.findings if f.gap]
    if any(f.comparison for f in found.findings):
        notes.append(
            f"Verdict: better or worse if p adj ≤ 0.05; equivalent if the 90 % interval lies within ±{ROPE} (declared "
            "beforehand); else inconclusive, which is not “no effect”: Bound on Δ is the largest difference that the "
            "90 % interval leaves. Nothing is bold: the best of several rows is not a finding."
        )
    if any(f.kind == "null" for f in found.findings):
        notes.append(f"null: the {found.centre} with other seeds, the table's noise floor; outside the family.")
    if any(f.kind == "control" for f in found.findings):
        notes.append("Controls take something from the data; they are outside the family, their p is not adjusted.")
    if any(f.score for f in found.findings):
        notes.append("Constant answer: the commonest class for every clip; a network below it has learned nothing.")
    for f in found.findings:
        notes += _few(f, found.centre)
        if is_permuted(f.arm) and f.score:
            notes.append(
                f"{f.arm.arm}: chance is {f.score.chance:.3f}, the expected UF1 of its predictions when labels are "
                "permuted within subjects."
            )
        if f.score and f.score.interval.method != "jackknife, logit":
            notes.append(
                f"{f.arm.arm}: a UF1 of exactly 0 or 1 has no variance; its interval is that of n of n subjects."
            )
    return notes


def _few(finding: Finding, centre: str) -> list[str]:
    """That too few subjects differ for an interval."""
    seen = finding.comparison
    if seen is None or seen.shown[1] is not None:
        return []
    if not seen.differing:
        return [f"{finding.arm.arm}: predictions identical to the {centre}'s, by subject, seed and class; no interval."]
    level = 95 if seen.bound is not None else 90
    return [
        f"{finding.arm.arm}: differs on {seen.differing} subject{'s' * (seen.differing > 1)}: no p below "
        f"{seen.smallest:.3g}, so there is no {level} % interval."
    ]


def _limits(found: Ablation) -> list[str]:
    """What these numbers cannot say."""
    counts = {len(f.seeds) for f in found.findings if f.score}
    lost = max((f.score.interval.lost for f in found.findings if f.score), default=0)
    limits = []
    if lost:
        limits.append(
            f"Without {lost} of the subjects a class is empty: the intervals rest on UF1 of fewer classes there."
        )
    if found.swaps and found.swaps.exact and 2 / 2**found.subjects > 0.05:
        limits.append(f"With {found.subjects} subjects no p can be below {2 / 2**found.subjects:.4g}.")
    if counts == {1}:
        limits.append("One seed: p refers to these trained models; seed variance is not assessed.")
    elif counts and min(counts) < 3:
        limits.append("Fewer than 3 seeds: variance that moves a whole run at once is not in the intervals.")
    return limits
