"""The race: a trial stops after the first subjects that show it to be worse than its opponent.

Counts are confusions by subject, summed over the trial's seeds: [N subjects, K true, K predicted], both trials'
subjects in the same order. What is decided here follows from these integers alone: it is the same in every process, on
every machine, and whatever the size of the blocks in which folds come home.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from analysis.confusion import Counts
from analysis.metrics import Floats, parts

P = 0.1  # a trial stops where chance would make one that is its opponent's equal look so bad this often or less
FIRST = 4  # subjects: before four, exact signed ranks know no p below .1
FIRST_BLOCK = 4  # subjects


def hopeless(mine: Counts, opponent: Counts, p: float = P, first: int = FIRST) -> int | None:
    """After how many subjects a trial stops, None where those seen so far do not stop it.

    mine: of the first n subjects; opponent: of all N. A look follows each subject from the `first` on, but for the
    last: with that the trial is complete. It stops where the scores lose to the opponent's, by their sum and by a
    one-sided signed-rank test at `p`, not corrected for repeated looks (`benchmarks/race.py` says what that costs).
    """
    lost = differences(mine, opponent)
    for seen in range(first, min(len(lost), len(opponent) - 1) + 1):
        if lost[:seen].sum() < 0 and signed_rank_p(lost[:seen]) <= p:
            return seen
    return None


def differences(mine: Counts, opponent: Counts) -> Floats:
    """Score of each of the first n subjects less its opponent's [n], in UF1.

    A subject's score is its confusion times the gradient of UF1 at the opponent's pooled confusion: over all subjects
    the differences sum to the linear change of pooled UF1. (Accuracy by subject would stop what weighs classes well.)
    They are rounded to 12 digits, so that equal ones are ties whatever a processor does with the last bits.
    """
    hits, margins = parts(opponent.sum(0))
    step = parts(mine) - parts(opponent[: len(mine)])
    inverse = np.divide(1.0, margins, out=np.zeros_like(margins), where=margins > 0)
    by_class = (2 * step[0] - 2 * hits * inverse * step[1]) * inverse
    return np.asarray(np.round(by_class.sum(-1) / np.count_nonzero(margins), 12) + 0.0)


def signed_rank_p(scores: Floats) -> float:
    """Exact one-sided p of Wilcoxon's signed ranks against scores around 0, small where they are below.

    Ties have midranks; zeros are ranked, and half of their ranks is on either side (`zsplit`). The distribution is
    that of all 2^n signs of these very ranks, by dynamic programming: no normal approximation at four subjects, and
    ties cost nothing (Streitberg and Roehmel, 1986).
    """
    doubled = np.rint(2 * rankdata(np.abs(scores))).astype(np.int64)
    below = _cumulative(tuple(np.sort(doubled[scores != 0]).tolist()))
    return float(below[doubled[scores > 0].sum()])


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


@lru_cache(maxsize=4096)
def _cumulative(ranks: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """P(sum of those ranks that a fair coin picks <= s), for s = 0, 1, ... their sum."""
    chance = np.zeros(sum(ranks) + 1)
    chance[0] = 1.0
    for rank in ranks:
        chance[rank:] = (chance[rank:] + chance[: len(chance) - rank]) / 2
        chance[:rank] /= 2
    return np.cumsum(chance)
