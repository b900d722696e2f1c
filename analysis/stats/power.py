"""What a design could detect, said before anything is trained: from the variance that LOSO runs had elsewhere.

The variance of a difference of two configurations' UF1, times the number of clips, was .12 to .14 that stays with any
number of seeds and .19 to .20 that falls with it, on 16 subjects and 164 clips, 26 and 145, 68 and 442 (simulations
calibrated on real LOSO runs; the real ones: .115 and .15). A class that hardly occurs makes it larger.
"""

from math import log2, sqrt

from analysis.stats.inference import LEVEL, POWER

_STAYS, _FALLS = 0.13, 0.195
# Share of what stays that goes with one factor, so that averaging over the settings of others does not shrink it: the
# median of five effects in a real factorial of 24 configurations.
_OF_A_FACTOR = 0.3


def detectable(clips: int, subjects: int, seeds: int, comparisons: int) -> float | None:
    """Smallest true difference of UF1 to a baseline that is found in four cases of five, at 5 % over all comparisons.

    None where the subjects are so few that no test of theirs is ever significant.
    """
    return _smallest((_STAYS + _FALLS / seeds) / clips, subjects, comparisons)


def detectable_effect(clips: int, subjects: int, seeds: int, effects: int, settings: int) -> float | None:
    """The same of a factor's effect in a factorial: each level is averaged over so many settings of the others."""
    averaged = ((1 - _OF_A_FACTOR) * _STAYS + _FALLS / seeds) / settings
    return _smallest((_OF_A_FACTOR * _STAYS + averaged) / clips, subjects, effects)


def _smallest(variance: float, subjects: int, tests: int) -> float | None:
    from scipy.special import stdtrit  # .2 s, which a plan without arms does without

    if subjects - 1 <= log2(1 / (1 - LEVEL)):  # swaps of n subjects give no p below 2 / 2^n
        return None
    each = LEVEL ** (1 / tests)
    return float((stdtrit(subjects - 1, (1 + each) / 2) + stdtrit(subjects - 1, POWER)) * sqrt(variance))


def least_p(subjects: int) -> float:
    """The least p that swaps of so many subjects can give."""
    return 2.0 ** (1 - subjects)
