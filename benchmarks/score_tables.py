"""Simulated score tables: confusions of configurations on subjects like those of the MEGC 2019 composite.

A latent utility decides each clip; its effects are calibrated on real LOSO runs
(`tests/analysis/stats/test_calibration.py` checks the four figures): SE of UF1 .031, residual ICC .08, correlation of
subject accuracies between configurations .57 and between seeds .73.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Subjects, clips by class, and how mixed a subject's classes are, for SMIC, CASME II and SAMM (MEGC 2019: 442 clips).
COMPOSITE = ((16, (70, 51, 43), 2.5), (24, (88, 32, 25), 0.9), (28, (92, 26, 15), 0.5))
# Standard deviations of the parts of a latent utility; the largest of three utilities is the predicted class.
EFFECTS = {
    "subject": 0.85,
    "subject_configuration": 0.42,
    "clip": 1.1,
    "clip_configuration": 0.42,
    "seed": 0.05,
    "fold": 0.3,
    "rest": 0.42,
}
SKILL = 1.85  # what the true class has beforehand; 0.5 more is a UF1 about .09 higher
LIKING = np.array([0.35, 0.0, 0.0])  # and what each class has


def composite() -> list[Counts]:
    """Clips by class of 68 subjects like those of MEGC 2019, [N, 3] by dataset."""
    generator, tables = np.random.default_rng(7), []
    for n, clips, mixing in COMPOSITE:
        size = generator.lognormal(0, 0.95, n)
        share = (generator.gamma(mixing, 1, (n, 3)) + 1e-9) * np.array(clips)
        share /= share.sum(1, keepdims=True)
        table = np.zeros((n, 3), dtype=np.int64)
        first = [generator.choice(3, p=p) for p in share]  # no subject without a clip
        np.add.at(table, (np.arange(n), first), 1)
        for c, left in enumerate(np.array(clips) - np.bincount(first, minlength=3)):
            weight = size * share[:, c]
            table[:, c] += generator.multinomial(left, weight / weight.sum())
        tables.append(table)
    return tables


TABLES = composite()
POPULATION = {16: TABLES[0], 26: TABLES[1], 68: np.concatenate(TABLES)}


@dataclass(frozen=True, eq=False)
class Tried:
    """Configurations on subjects: what of their utilities stays whatever the seed, [M, clips, 3].

    who: each clip's subject [clips]; truth: its class; subjects: how many there are.
    """

    lasting: Floats
    who: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int64]
    subjects: int

    @classmethod
    def on(cls, table: Counts, generator: np.random.Generator, skills: Sequence[float] | Any) -> "Tried":
        """M configurations with these skills on subjects with these clips by class [N, 3]."""
        m, n = len(skills), len(table)
        who = np.repeat(np.arange(n), table.sum(1))
        truth = np.concatenate([np.repeat(np.arange(3), row) for row in table])
        clips = len(truth)
        lasting = np.zeros((m, clips, 3)) + LIKING
        lasting[:, np.arange(clips), truth] += np.asarray(skills)[:, None]
        lasting += (
            _normal(generator, "subject", 1, n)[:, who] + _normal(generator, "subject_configuration", m, n)[:, who]
        )
        lasting += _normal(generator, "clip", 1, clips) + _normal(generator, "clip_configuration", m, clips)
        return cls(lasting, who, truth, n)

    def runs(self, generator: np.random.Generator, seeds: int, some: Sequence[int] | None = None) -> Counts:
        """Confusions [M, N, S, 3, 3] of new seeds of all configurations, or of some of them."""
        lasting = self.lasting if some is None else self.lasting[list(some)]
        m, n, clips = len(lasting), self.subjects, len(self.who)
        utility = lasting[:, None] + _normal(generator, "seed", m, seeds, 1)
        utility += _normal(generator, "fold", m, seeds, n)[:, :, self.who] + _normal(generator, "rest", m, seeds, clips)
        shape = (m, n, seeds, 3, 3)
        place = (np.arange(m)[:, None, None], self.who, np.arange(seeds)[:, None], self.truth, utility.argmax(-1))
        return np.bincount(np.ravel_multi_index(place, shape).ravel(), minlength=int(np.prod(shape))).reshape(shape)


def runs(table: Counts, generator: np.random.Generator, skills: Sequence[float] | Any, seeds: int) -> Counts:
    """Confusions [M, N, S, 3, 3] of M configurations with these skills on subjects with these clips [N, 3]."""
    return Tried.on(table, generator, skills).runs(generator, seeds)


def _normal(generator: np.random.Generator, part: str, *shape: int) -> Floats:
    return EFFECTS[part] * generator.standard_normal((*shape, 3))


def subjects(size: int, generator: np.random.Generator) -> Counts:
    """New subjects of the population of this size, or of the next larger one: their clips by class [N, 3]."""
    population = POPULATION[min(known for known in POPULATION if known >= size)]
    return population[generator.integers(0, len(population), size)]


def drawn(size: int, key: Sequence[int], skills: Sequence[float] | Any, seeds: int) -> Counts:
    """Runs [M, N, S, 3, 3] on new subjects of the population of `size`; `key` seeds them."""
    generator = np.random.default_rng(list(key))
    return runs(subjects(size, generator), generator, skills, seeds)
