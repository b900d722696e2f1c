"""The race: a trial stops after the first subjects that show it to be worse than its opponent.

Counts are confusions by subject, summed over the trial's seeds: [N subjects, K true, K predicted], both trials'
subjects in the same order. What is decided here follows from these integers alone: it is the same in every process, on
every machine, and whatever the size of the blocks in which folds come home.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from analysis.stats.metrics import Floats, parts

Counts = npt.NDArray[np.int64]

FIRST_BLOCK = 4  # subjects


def hopeless(mine: Counts, opponent: Counts, p: float, first: int) -> int | None:
    """After how many subjects a trial stops, None where those seen so far do not stop it.

    mine: of the first n subjects; opponent: of all N. A look follows each subject from the `first` on, but for the
    last: with that the trial is complete. It stops where the scores lose to the opponent's, by their sum and by a
    one-sided signed-rank test at `p`, not corrected for repeated looks (`benchmarks/race.py` says what that costs).
    """
    found = enumerate(looks(mine, opponent), start=1)
    return next((seen for seen, chance in found if seen >= first and chance <= p), None)


def looks(mine: Counts, opponent: Counts) -> Iterator[float]:
    """p after each of the first n subjects; 1 where the sum of the scores does not lose, and at the last of all."""
    lost = differences(mine, opponent)
    for seen in range(1, len(lost) + 1):
        loses = seen < len(opponent) and lost[:seen].sum() < 0
        yield signed_rank_p(lost[:seen]) if loses else 1.0


def differences(mine: Counts, opponent: Counts) -> Floats:
    """Score of each of the first n subjects less its opponent's [n], in UF1.

    They are rounded to 12 digits, so that equal ones are ties whatever a processor does with the last bits.
    """
    return np.asarray(np.round(scores(mine - opponent[: len(mine)], opponent.sum(0)), 12) + 0.0)


def scores(counts: Counts, pooled: Counts) -> Floats:
    """Score of each subject [n]: its confusion times the gradient of UF1 at a pooled confusion [K, K].

    Over all subjects, the differences of two trials' scores sum to the linear change of pooled UF1; a trial's own at
    its own pooled confusion sum to 0. (Accuracy by subject would stop what weighs classes well.)
    """
    (hits, margins), own = parts(pooled), parts(counts)
    inverse = np.divide(1.0, margins, out=np.zeros_like(margins), where=margins > 0)
    by_class = (2 * own[0] - 2 * hits * inverse * own[1]) * inverse
    return np.asarray(by_class.sum(-1) / np.count_nonzero(margins))


def signed_rank_p(scores: Floats) -> float:
    """Exact one-sided p of Wilcoxon's signed ranks against scores around 0, small where they are below.

    Ties have midranks; zeros are ranked, and half of their ranks is on either side (`zsplit`). The distribution is
    that of all 2^n signs of these very ranks, by dynamic programming: no normal approximation at four subjects, and
    ties cost nothing (Streitberg and Roehmel, 1986).
    """
    sizes = np.abs(scores)
    ordered = np.sort(sizes)
    doubled = ordered.searchsorted(sizes, "left") + ordered.searchsorted(sizes, "right") + 1  # midranks, twice
    ranks = np.sort(doubled[scores != 0])
    return _at_most(int(doubled[scores > 0].sum()), tuple(ranks.tolist()))


def block_sizes(subjects: int) -> Iterator[int]:
    """Subjects a block: 4, 4, 8, 16, ...: so many are trained before a trial is looked at again."""
    done = 0
    while done < subjects:
        size = min(max(FIRST_BLOCK, done), subjects - done)
        yield size
        done += size


def imputed(value: float, mine: Counts, opponent: Counts) -> float:
    """The UF1 that a stopped trial is told to have: its opponent's `value` plus what it would lose over all subjects.

    That is N times its mean difference so far, at most 0; a UF1 is not below 0 either.
    """
    lost = min(0.0, float(differences(mine, opponent).mean())) * len(opponent)
    return max(0.0, value + lost)


@lru_cache(maxsize=65_536)
def _at_most(total: int, ranks: tuple[int, ...]) -> float:
    """P(the sum of those ranks that a fair coin picks <= total)."""
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    for rank in ranks:
        chance[rank:] += chance[: max(0, total + 1 - rank)].copy()
        chance /= 2
    return float(chance.sum())
