"""Variance components: how much of a subject's accuracy is the subject, the configuration, the seed."""

from dataclasses import dataclass

import numpy as np

from analysis.questions.ablation import Ablation
from analysis.stats.confusion import Counts
from analysis.stats.metrics import accuracy
from analysis.tables import Column, Row, Table, number, text


@dataclass(frozen=True)
class Component:
    """A source of variance of subject accuracy, with its share of the sum."""

    source: str
    variance: float
    share: float


def components(counts: Counts) -> tuple[Component, ...]:
    """By mean squares of accuracy x[N subjects, M configurations, S seeds within each], from counts [M, N, S, K, K].

    Subjects are crossed with configurations, seeds lie within configurations. A negative estimate is 0. Raises
    ValueError for fewer than 2 configurations, seeds or subjects.
    """
    x = np.moveaxis(accuracy(counts), 0, 1)  # [N, M, S]
    n, m, s = x.shape
    if min(n, m, s) < 2:
        raise ValueError(f"variance components need 2 subjects, configurations and seeds; here {n}, {m} and {s}")
    grand, subject, configuration = x.mean(), x.mean((1, 2)), x.mean((0, 2))
    cell, run = x.mean(2), x.mean(0)
    ms_subject = m * s * ((subject - grand) ** 2).sum() / (n - 1)
    ms_configuration = n * s * ((configuration - grand) ** 2).sum() / (m - 1)
    crossed = cell - subject[:, None] - configuration + grand
    ms_crossed = s * (crossed**2).sum() / ((n - 1) * (m - 1))
    ms_run = n * ((run - configuration[:, None]) ** 2).sum() / (m * (s - 1))
    rest = x - cell[:, :, None] - run + configuration[:, None]
    ms_rest = (rest**2).sum() / (m * (s - 1) * (n - 1))
    found = {
        "subject": (ms_subject - ms_crossed) / (m * s),
        "configuration": (ms_configuration - ms_crossed - ms_run + ms_rest) / (n * s),
        "subject × configuration": (ms_crossed - ms_rest) / s,
        "seed (a whole run)": (ms_run - ms_rest) / n,
        "seed within subject, and clips": ms_rest,
    }
    kept = {source: max(0.0, float(value)) for source, value in found.items()}
    total = sum(kept.values())
    return tuple(Component(source, value, value / total if total else 0.0) for source, value in kept.items())


def table(found: Ablation) -> Table | None:
    """Of the baseline and variants with the same number of seeds; None where there are too few."""
    counts = [score.counts for _, score in found.comparable()]
    if len(counts) < 2 or min(counts[0].shape[:2]) < 2:
        return None
    rows = tuple(
        Row("plain", (text(c.source), number(c.variance, 5), number(100 * c.share, 1)))
        for c in components(np.stack(counts))
    )
    columns = (
        Column("Source", ("source",), numeric=False),
        Column("Variance", ("variance",)),
        Column("Share (%)", ("share_percent",)),
    )
    caption = (
        f"Variance of the accuracy on a subject, over {len(counts)} configurations ({found.centre} and variants) and "
        f"{counts[0].shape[1]} seeds each, by mean squares of the balanced design. More seeds shrink the last two "
        "rows, more subjects the first and third; nothing that is trained here shrinks the subjects' own."
    )
    return Table(f"{found.stage}-variance", "Variance components", caption, columns, rows)


def answer(made: Table) -> str:
    """The two largest sources in a sentence."""
    ranked = sorted(made.rows, key=lambda row: -float(row.cells[2].values[0]))
    first, second = ((row.cells[0].text, row.cells[2].text) for row in ranked[:2])
    return f"Mostly by {first[0]} ({first[1]} % of the variance), then by {second[0]} ({second[1]} %)."
