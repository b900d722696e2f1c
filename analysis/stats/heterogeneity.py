"""Whether a difference is another in each dataset, and the differences of all datasets combined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.stats.confusion import Counts
from analysis.stats.inference import LEVEL, influences
from search_spaces.digests import stream

SWAPS = 4999
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ByDataset:
    """differences, errors: of each dataset [D]. p: that they are one difference. combined: with its 95 % interval."""

    differences: tuple[float, ...]
    errors: tuple[float, ...]
    p: float
    combined: tuple[float, float, float]


def by_dataset(arm: Counts, baseline: Counts, parts: Sequence[npt.NDArray[np.bool_]]) -> ByDataset:
    """Of counts [N, S, K, K] and the subjects of each of D >= 2 datasets, bool [N], at least 2 each.

    p: Q = sum over datasets of (d - mean)^2 / SE^2, the mean weighted by 1 / SE^2 (Cochran), against Q of swaps within
    datasets: each subject's influence on its dataset's difference, which sum to 0 there, takes a random sign. combined:
    the datasets' differences weighted by their numbers of subjects, t with N - D degrees of freedom.
    """
    from scipy.special import stdtrit

    found = [influences(arm[own], baseline[own]) for own in parts]
    differences = np.array([difference for difference, _ in found])
    errors = np.array([_error(influence) for _, influence in found])
    sizes = np.array([own.sum() for own in parts])
    generator = np.random.Generator(np.random.Philox(stream("analysis", "heterogeneity", *map(int, sizes))))
    swapped = np.stack([_signed(influence, generator) for _, influence in found], axis=1)
    observed = _q(differences[None], errors)[0]
    p = 1.0 if not errors.all() else float((1 + (_q(swapped, errors) >= observed - 1e-12).sum()) / (SWAPS + 1))
    shares = sizes / sizes.sum()
    mean, half = float(shares @ differences), float(np.hypot.reduce(shares * errors))
    half *= float(stdtrit(sizes.sum() - len(parts), (1 + LEVEL) / 2))
    return ByDataset(tuple(differences.tolist()), tuple(errors.tolist()), p, (mean, mean - half, mean + half))


def _error(influence: Floats) -> float:
    return float(np.sqrt(len(influence) / (len(influence) - 1) * influence @ influence))


def _signed(influence: Floats, generator: np.random.Generator) -> Floats:
    """A dataset's difference, less its own, under each of the swaps; as wide as its error says."""
    signs = generator.choice([-1.0, 1.0], (SWAPS, len(influence)))
    return np.asarray(np.sqrt(len(influence) / (len(influence) - 1)) * (signs @ influence))


def _q(differences: Floats, errors: Floats) -> Floats:
    """Cochran's Q of each row [P, D]; 0 where a dataset has no error."""
    if not errors.all():
        return np.zeros(len(differences))
    weights = 1 / errors**2
    mean = differences @ weights / weights.sum()
    return np.asarray(((differences - mean[:, None]) ** 2 * weights).sum(1))
