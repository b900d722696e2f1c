"""Whether other methods say the same: the options of the specification beside the defaults."""

from collections.abc import Sequence

from analysis.questions.ablation import Ablation, Finding
from analysis.stats.bootstrap import DRAWS, bootstrap_t, draws, expanded_percentile, wilcoxon
from analysis.stats.confusion import Counts
from analysis.stats.inference import Comparison, holm, stands
from analysis.tables import Column, Row, Table, interval, number, probability, text

COLUMNS = (
    Column("Variant", ("variant",), numeric=False),
    Column("UF1 [jackknife]", ("uf1", "uf1_low", "uf1_high")),
    Column("UF1 [expanded percentile]", ("percentile", "percentile_low", "percentile_high")),
    Column("UF1 [bootstrap-t]", ("bootstrap_t", "bootstrap_t_low", "bootstrap_t_high")),
    Column("p (swaps)", ("p",)),
    Column("p adj (max-T)", ("p_max_t",)),
    Column("p adj (Holm)", ("p_holm",)),
    Column("p (Wilcoxon)", ("p_wilcoxon",)),
    Column("p adj (Wilcoxon, Holm)", ("p_wilcoxon_holm",)),
    Column("Params", ("parameters",)),
)


def table(found: Ablation, datasets: Sequence[str]) -> Table:
    """Every scored arm by every method. datasets: of each subject; the bootstrap draws within each of them."""
    names = sorted(set(datasets))
    drawn = draws(len(datasets), [names.index(name) for name in datasets])
    base = found.baseline.score if found.baseline else None
    compared = [(f.arm.arm, f.score, f.comparison) for f in found.findings if f.score and f.comparison]
    swaps = {arm: seen.p for arm, _, seen in compared}
    ranks = {arm: _ranks(found, score.counts, base.counts, seen) for arm, score, seen in compared if base}
    family = [f.arm.arm for f in found.family]
    swaps_holm, ranks_holm = (dict(zip(family, holm([p[arm] for arm in family]), strict=True)) for p in (swaps, ranks))
    rows = []
    for f in found.findings:
        if f.score is None:
            continue
        own, seen = f.score.interval, f.comparison
        counts = f.score.counts
        cells = (
            text(f.arm.arm),
            interval((own.estimate, own.low, own.high)),
            interval((own.estimate, *expanded_percentile(counts, drawn))),
            interval((own.estimate, *bootstrap_t(counts, drawn))),
            probability(seen.p if seen else None),
            probability(seen.p_adjusted if seen else None),
            probability(swaps_holm.get(f.arm.arm)),
            probability(ranks.get(f.arm.arm)),
            probability(ranks_holm.get(f.arm.arm)),
            number(f.cost.parameters),
        )
        rows.append(Row(f.kind, cells))
    within = f" within each of {len(names)} datasets" if len(names) > 1 else ""
    caption = (
        f"The same arms by other methods; unit: the subject everywhere, n = {len(datasets)}, level 95 %. Bootstrap: "
        f"{DRAWS:,} draws of subjects{within}. Jackknife and max-T are the defaults, which held their level best in "
        "simulation; Holm is the same p corrected without their correlation. Wilcoxon (Pratt), by "
        "the same swaps, tests the accuracy of the typical subject, not UF1; its p is corrected by Holm, too."
    )
    return Table(f"{found.stage}-sensitivity", "Other methods", caption, COLUMNS, tuple(rows))


def _ranks(found: Ablation, arm: Counts, base: Counts, seen: Comparison) -> float:
    """Wilcoxon's p of the subjects by which an arm was compared."""
    if seen.subjects < found.subjects:
        arm, base = found.of_testers(arm), found.of_testers(base)
    return wilcoxon(arm, base)


def answer(found: Ablation, made: Table) -> str:
    """Whether any verdict hangs on the correction or on the test, and how far the intervals are apart."""
    at = {column.names[0]: i for i, column in enumerate(COLUMNS)}
    rows = {row.cells[0].values[0]: row.cells for row in made.rows}
    ends = [[row[at[name]].values[1:] for name in ("uf1", "percentile", "bootstrap_t")] for row in rows.values()]
    apart = max((max(end) - min(end) for own in ends for end in zip(*own, strict=True)), default=0.0)
    intervals = f"The ends of the three intervals of a UF1 lie at most {apart:.3f} apart."
    if not found.family:
        return f"There is nothing to compare. {intervals}"
    p = {name: {arm: row[i].values[0] for arm, row in rows.items()} for name, i in at.items()}
    holm = [f for f in found.family if stands(p["p_max_t"][f.arm.arm]) != stands(p["p_holm"][f.arm.arm])]
    wilcoxon = [f for f in found.family if _otherwise(f, p["p_wilcoxon_holm"][f.arm.arm])]
    turned = {"Holm's correction": holm, "Wilcoxon's test": wilcoxon}
    said = [f"{how} would decide otherwise on {', '.join(f.arm.arm for f in of)}" for how, of in turned.items() if of]
    kept = [how for how, of in turned.items() if not of]
    if not said:
        return f"No verdict changes with {' or with '.join(kept)} in place of max-T over swaps. {intervals}"
    same = f" {kept[0]} changes no verdict." if kept else ""
    return f"Mostly; {'; '.join(said)}.{same} {intervals}"


def _otherwise(finding: Finding, p_wilcoxon: float | None) -> bool:
    """Whether Wilcoxon's test finds an arm better or worse where max-T does not, or the other way round."""
    seen = finding.comparison
    if seen is None or stands(seen.p_adjusted) != stands(p_wilcoxon):
        return True
    return stands(p_wilcoxon) and seen.difference * (seen.wins - seen.losses) < 0
