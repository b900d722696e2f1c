"""The best of K corrected for the choice: BBC-CV (Tsamardinos, Greasidou and Borboudakis, 2018) over subjects.

The out-of-bag confusions are pooled over all draws: a mean of UF1 over out-of-bag sets of six subjects is too low.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

from analysis.stats.confusion import Counts
from analysis.stats.inference import LEVEL, Comparison, Interval
from analysis.stats.metrics import parts, uf1, uf1_of
from search_spaces.digests import stream

DRAWS = 2_000
_AT_ONCE = 200  # candidates


@dataclass(frozen=True)
class Choice:
    """The best candidate's place, its corrected UF1, and the share of draws in which it is the best.

    difference: of the choice to the baseline on the same subjects, corrected likewise; 0 without a baseline.
    """

    best: int
    corrected: float
    again: float
    difference: float


def bbc(candidates: Counts, baseline: int | None = None) -> Choice:
    """Of counts [M, N, S, K, K]; ties go to the first. baseline: its place among the candidates.

    Subjects are drawn with replacement; the best on those drawn predicts those left out; these predictions are summed
    over all draws, then scored once, and so are the baseline's of the same subjects.
    """
    many, subjects, seeds, classes = candidates.shape[:4]
    generator = np.random.Generator(np.random.Philox(stream("analysis", "subject bootstrap", subjects)))
    drawn = generator.multinomial(subjects, np.full(subjects, 1 / subjects), DRAWS).astype(np.float64)
    pieces = np.moveaxis(parts(candidates), 2, 1).reshape(2, subjects, -1)  # [2, N, M S K]
    best = int(np.argmax(np.round(uf1(candidates.sum(1)).mean(-1), 12)))
    wins, highest = np.zeros(DRAWS, np.int64), np.full(DRAWS, -1.0)
    for start in range(0, many, _AT_ONCE):  # thousands of candidates by all draws would take gigabytes
        some = pieces[..., start * seeds * classes : (start + _AT_ONCE) * seeds * classes]
        pooled = np.stack([drawn @ piece for piece in some]).reshape(2, DRAWS, -1, seeds, classes)
        scores = np.round(uf1_of(pooled).mean(-1), 12)
        won = scores.max(-1) > highest
        wins[won], highest[won] = start + scores.argmax(-1)[won], scores.max(-1)[won]
    winners, place = np.unique(wins, return_inverse=True)
    left_out = (drawn == 0).astype(np.float64)
    out_of_bag = (place[:, None] == np.arange(len(winners))).astype(np.float64).T @ left_out  # [winners, N]
    corrected = _mean(np.einsum("mn,mnskl->skl", out_of_bag, candidates[winners]))
    own = 0.0 if baseline is None else _mean(np.einsum("n,nskl->skl", left_out.sum(0), candidates[baseline]))
    return Choice(best, corrected, float((wins == best).mean()), 0.0 if baseline is None else corrected - own)


def leave_subject_out(candidates: Counts) -> float:
    """UF1 when each subject is predicted by the best configuration of all others, from counts [M, N, S, K, K]."""
    without = uf1(candidates.sum(1, keepdims=True) - candidates).mean(-1)  # [M, N]
    wins = np.argmax(np.round(without, 12), 0)
    return float(uf1(candidates[wins, np.arange(candidates.shape[1])].sum(0)).mean())


def recentred(estimate: float, naive: Interval, subjects: int) -> tuple[float, float]:
    """95 % interval on the logit scale with t(N - 1) around a corrected UF1, with the selected configuration's SE.

    The SE is measured at the naive score, where a UF1 near 1 leaves less room: it is stretched by the ratio of the
    standard deviations that shares of these sizes have. Where it is 0 (a UF1 of exactly 0 or 1, or subjects all alike)
    the interval is the naive one, stretched to the corrected UF1.
    """
    if naive.se == 0:
        return min(naive.low, estimate), max(naive.high, estimate)
    if not 0 < estimate < 1:
        return 0.0, 1.0
    room, there = estimate * (1 - estimate), naive.estimate * (1 - naive.estimate)
    se = naive.se * np.sqrt(room / there)
    half = stdtrit(subjects - 1, (1 + LEVEL) / 2) * se / room
    low, high = expit(logit(estimate) + np.array([-half, half])).tolist()
    return low, high


def moved(difference: float, naive: Comparison) -> tuple[float, float]:
    """95 % interval around a corrected difference: t(N - 1) times the error of the naive one."""
    half = float(stdtrit(naive.subjects - 1, (1 + LEVEL) / 2)) * naive.se
    return max(-1.0, difference - half), min(1.0, difference + half)


def _mean(pooled: Counts | np.typing.NDArray[np.float64]) -> float:
    """Pooled UF1 of counts [S, K, K], mean over seeds."""
    return float(uf1(pooled).mean())
