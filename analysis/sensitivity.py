"""Whether other methods say the same: the options of the specification beside the defaults."""

from collections.abc import Sequence

from analysis.ablation import Ablation
from analysis.bootstrap import DRAWS, bootstrap_t, draws, expanded_percentile, wilcoxon
from analysis.inference import LEVEL, holm
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
    Column("Params", ("parameters",)),
)


def table(found: Ablation, datasets: Sequence[str]) -> Table:
    """Every scored arm by every method. datasets: of each subject; the bootstrap draws within each of them."""
    names = sorted(set(datasets))
    drawn = draws(len(datasets), [names.index(name) for name in datasets])
    family = [f for f in found.family if f.comparison]
    corrected = holm([f.comparison.p for f in family if f.comparison])
    adjusted = {f.arm.arm: p for f, p in zip(family, corrected, strict=True)}
    base = found.baseline.score if found.baseline else None
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
            probability(adjusted.get(f.arm.arm)),
            probability(wilcoxon(counts, base.counts) if seen and base else None),
            number(f.cost.parameters),
        )
        rows.append(Row(f.kind, cells))
    within = f" within each of {len(names)} datasets" if len(names) > 1 else ""
    caption = (
        f"The same arms by other methods; unit: the subject everywhere, n = {len(datasets)}, level 95 %. Bootstrap: "
        f"{DRAWS:,} draws of subjects{within}. Jackknife and max-T are the defaults, which held their level best in "
        "simulation; Holm is the same p corrected without their correlation. Wilcoxon (Pratt), by "
        "the same swaps, tests the accuracy of the typical subject, not UF1."
    )
    return Table(f"{found.stage}-sensitivity", "Other methods", caption, COLUMNS, tuple(rows))


def answer(found: Ablation, made: Table) -> str:
    """Whether any verdict hangs on the method."""
    at = {column.names[0]: i for i, column in enumerate(COLUMNS)}
    rows = {row.cells[0].values[0]: row.cells for row in made.rows}
    turned = [
        f.arm.arm
        for f in found.family
        if (_small(rows[f.arm.arm][at["p_max_t"]].values[0]) != _small(rows[f.arm.arm][at["p_holm"]].values[0]))
    ]
    if not found.family:
        return "There is nothing to compare; the intervals by three methods stand side by side."
    if turned:
        return f"Mostly; Holm's correction would decide otherwise on {', '.join(turned)}."
    return "No verdict changes with Holm's correction in place of max-T."


def _small(p: float | None) -> bool:
    return p is not None and p <= 1 - LEVEL + 1e-12
