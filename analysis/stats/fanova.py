"""fANOVA's main effects (Hutter, Hoos and Leyton-Brown, 2014): shares of a random forest's variance over a space.

The shares are those of Optuna's FanovaImportanceEvaluator to rounding, from the same forest. That walks a tree again
for each place where it splits; here a tree is summed up once, so that thousands of trials take seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.stats.metrics import Floats

DEEPEST = 64  # levels of a tree
MOST_CHOICES = 12  # words of a factor that are columns of their own: 3^12 corners; more are ranked by name


@dataclass(frozen=True, eq=False)
class Space:
    """Configurations as columns [trials, columns]: a range is one column, a choice one of 0 and 1 for each level.

    bounds: of each column [columns, 2]. columns: those of every factor.
    """

    encoded: Floats
    bounds: Floats
    columns: Mapping[str, slice]

    @classmethod
    def of(cls, levels: Mapping[str, Sequence[Any]]) -> "Space":
        """From the level that every trial has of each factor. Levels that are all numbers are a range."""
        parts: dict[str, tuple[Floats, Floats]] = {name: _encoded(levels[name]) for name in sorted(levels)}
        ends = np.cumsum([0, *(len(bounds) for _, bounds in parts.values())]).tolist()
        columns = {name: slice(start, end) for name, start, end in zip(parts, ends[:-1], ends[1:], strict=True)}
        encoded = np.concatenate([columns for columns, _ in parts.values()], axis=1)
        return cls(encoded, np.concatenate([bounds for _, bounds in parts.values()]), columns)


def shares(space: Space, scores: Floats, trees: int, seed: int) -> dict[str, float]:
    """Each factor's own share of the variance, the mean over the trees of a forest that is fitted to the scores."""
    from sklearn.ensemble import RandomForestRegressor

    if np.ptp(scores) == 0 or not space.encoded.size:
        return dict.fromkeys(space.columns, 0.0)
    forest = RandomForestRegressor(n_estimators=trees, max_depth=DEEPEST, random_state=seed)
    forest.fit(space.encoded, scores)
    boxes = [_Boxes.of(fitted.tree_, space.bounds) for fitted in forest.estimators_]
    varied = [tree for tree in boxes if tree.variance > 0]
    if not varied:
        return dict.fromkeys(space.columns, 0.0)
    return {
        name: float(np.mean([tree.marginal_variance(columns) / tree.variance for tree in varied]))
        for name, columns in space.columns.items()
    }


@dataclass(frozen=True, eq=False)
class _Boxes:
    """A tree's leaves: the box of each [leaves, columns], its prediction less the tree's mean, and its share of space.

    edges: where the tree splits each column, its bounds around.
    """

    low: Floats
    high: Floats
    values: Floats
    weights: Floats
    edges: tuple[Floats, ...]

    @classmethod
    def of(cls, tree: Any, bounds: Floats) -> "_Boxes":
        low, high = (np.repeat(bounds[None, :, side], tree.node_count, 0) for side in (0, 1))
        level = np.zeros(1, np.int64)  # the nodes of one depth after another
        while len(level := level[tree.feature[level] >= 0]):
            left, right, split = tree.children_left[level], tree.children_right[level], tree.feature[level]
            for child in (left, right):
                low[child], high[child] = low[level], high[level]
            high[left, split] = low[right, split] = tree.threshold[level]
            level = np.concatenate([left, right])
        leaves = tree.feature < 0
        low, high, values = low[leaves], high[leaves], tree.value[leaves].reshape(-1)
        weights = np.prod((high - low) / (bounds[:, 1] - bounds[:, 0]), axis=1)
        inner = [np.unique(tree.threshold[tree.feature == column]) for column in range(len(bounds))]
        edges = tuple(np.array([a, *split, b]) for split, (a, b) in zip(inner, bounds, strict=True))
        return cls(low, high, values - np.average(values, weights=weights), weights, edges)

    @property
    def variance(self) -> float:
        """Of the prediction over the whole space."""
        return float(np.average(self.values**2, weights=self.weights))

    def marginal_variance(self, columns: slice) -> float:
        """Of the prediction averaged over all other columns."""
        several = range(len(self.edges))[columns]
        return self._of_range(several[0]) if len(several) == 1 else self._of_choice(several)

    def _of_range(self, column: int) -> float:
        """What each leaf gives to the mean is added where its box begins, and taken away where it ends."""
        edges = self.edges[column]
        low, high = self.low[:, column], self.high[:, column]
        given = self.values * self.weights * (edges[-1] - edges[0]) / (high - low)
        begin, end = (np.bincount(np.searchsorted(edges, at), given, len(edges)) for at in (low, high))
        return _variance(np.cumsum(begin - end)[:-1], np.diff(edges))

    def _of_choice(self, columns: Sequence[int]) -> float:
        """Over every corner of the columns of 0 and 1: those that a leaf's box holds on each are 0, 1 or both."""
        split = [column for column in columns if len(self.edges[column]) > 2]
        sides = (self.low[:, split] > 0).astype(np.int64) + 2 * ((self.low[:, split] == 0) & (self.high[:, split] == 1))
        given = self.values * self.weights / np.prod(self.high[:, split] - self.low[:, split], axis=1)
        shape = (3,) * len(split)
        places = np.ravel_multi_index(tuple(sides.T), shape) if split else np.zeros(len(sides), np.int64)
        corners = np.bincount(places, given, 3 ** len(split)).astype(np.float64).reshape(shape)
        for axis in range(len(split)):
            none, one, both = np.moveaxis(corners, axis, 0)
            corners = np.stack([none + both, one + both], axis)
        return _variance(corners.reshape(-1), np.ones(corners.size))


def _variance(values: Floats, weights: Floats) -> float:
    return float(np.average((values - np.average(values, weights=weights)) ** 2, weights=weights))


def _encoded(levels: Sequence[Any]) -> tuple[Floats, Floats]:
    """A factor's columns [trials, columns] and their bounds [columns, 2]; none of a range that has no width."""
    if all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels):
        numbers = np.array(levels, dtype=np.float64)[:, None]
        some = slice(int(np.ptp(numbers) > 0))
        return numbers[:, some], np.array([[numbers.min(), numbers.max()]])[some]
    words = np.array([str(level) for level in levels])
    choices, places = np.unique(words, return_inverse=True)
    if len(choices) > MOST_CHOICES:
        return _encoded(places.tolist())
    return (words[:, None] == choices).astype(np.float64), np.tile([0.0, 1.0], (len(choices), 1))
