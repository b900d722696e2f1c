"""The choice inside every outer fold: by pooled UF1 of the inner folds, which never saw the subject it is made for."""

import numpy as np
import numpy.typing as npt

from analysis.stats.confusion import Counts
from analysis.stats.metrics import uf1


def choices(inner: Counts) -> npt.NDArray[np.int64]:
    """Of the inner folds' pooled confusions [M candidates, N outer folds, K, K] the best [N], of ties the first."""
    return np.asarray(np.argmax(np.round(uf1(inner), 12), axis=0))
