"""Simulated score tables of another kind than score_tables: whether a clip is right, by a copula of heavy tails.

Subjects have 1 to 39 clips by a power law and one, two or three classes, as those of published logs do; what subjects
and their liking for a configuration do to a clip has Student's t with 3 degrees of freedom; a wrong answer is the class
that a configuration confuses the clip with. Fitted to the same figures of real runs
(tests/analysis/questions/test_claims.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.score_tables import SKILL, Counts, Floats

SIZES, SHARES = np.arange(1, 40), np.array([0.55, 0.25, 0.2])  # clips of a subject; classes
# Standard deviations, or scales of t3, of the parts of a clip's ease; its answer is right where that is above 0.
EFFECTS = {
    "subject": 0.3,
    "subject_configuration": 0.17,
    "clip": 0.75,
    "clip_configuration": 0.35,
    "seed": 0.03,
    "fold": 0.2,
    "rest": 0.35,
}
EASE = np.array([0.75, 0.4, 0.5])  # of each class at score_tables' SKILL


def subjects(size: int, generator: np.random.Generator) -> Counts:
    """New subjects: their clips by class [N, 3], every class at least at two subjects."""
    chance = 1.0 / SIZES**1.1
    while True:
        clips = generator.choice(SIZES, size, p=chance / chance.sum())
        mixed = generator.dirichlet(3 * SHARES, size)
        table = np.stack([generator.multinomial(n, p) for n, p in zip(clips, mixed, strict=True)])
        if ((table > 0).sum(0) >= 2).all():
            return table.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Tried:
    """Configurations on subjects: what of each clip's ease stays whatever the seed [M, clips], and its wrong answer."""

    lasting: Floats
    wrong: npt.NDArray[np.int64]
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
        lasting = EASE[truth] + (np.asarray(skills)[:, None] - SKILL) * 0.6
        lasting = lasting + _tailed(generator, "subject", 1, n)[:, who]
        lasting += _tailed(generator, "subject_configuration", m, n)[:, who]
        lasting += _normal(generator, "clip", 1, clips) + _normal(generator, "clip_configuration", m, clips)
        return cls(lasting, (truth + generator.integers(1, 3, (m, clips))) % 3, who, truth, n)

    def runs(self, generator: np.random.Generator, seeds: int, some: Sequence[int] | None = None) -> Counts:
        """Confusions [M, N, S, 3, 3] of new seeds of all configurations, or of some of them."""
        which = np.arange(len(self.lasting)) if some is None else np.array(some)
        m, n, clips = len(which), self.subjects, len(self.who)
        ease = self.lasting[which, None] + _normal(generator, "seed", m, seeds, 1)
        ease += _normal(generator, "fold", m, seeds, n)[:, :, self.who] + _normal(generator, "rest", m, seeds, clips)
        predicted = np.where(ease > 0, self.truth, self.wrong[which, None])
        shape = (m, n, seeds, 3, 3)
        place = (np.arange(m)[:, None, None], self.who, np.arange(seeds)[:, None], self.truth, predicted)
        return np.bincount(np.ravel_multi_index(place, shape).ravel(), minlength=int(np.prod(shape))).reshape(shape)


def _normal(generator: np.random.Generator, part: str, *shape: int) -> Floats:
    return EFFECTS[part] * generator.standard_normal(shape)


def _tailed(generator: np.random.Generator, part: str, *shape: int) -> Floats:
    return EFFECTS[part] * generator.standard_t(3, shape)
