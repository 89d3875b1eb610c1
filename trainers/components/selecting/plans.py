"""Plans of example weights over a training, and weights made of scores. All ties go to the lower index."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kept = NDArray[np.bool_]
Weights = Literal["equal", "graded"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Phase:
    """A part of training with fixed example weights.

    start: progress at which it begins, in [0, 1). weights: float32 [n], 0 for a dropped example; at least
    one is positive and the positive ones have mean 1. lr_scale: a positive factor on the learning rate.
    """

    start: float
    weights: NDArray[np.float32]
    lr_scale: float

    def __post_init__(self) -> None:
        """Check that the phase keeps examples and that its weights are normalised."""
        kept = self.weights[self.weights > 0]
        assert 0 <= self.start < 1, self.start
        assert (self.weights >= 0).all(), "a weight is negative or NaN"
        assert len(kept), "nothing is kept"
        assert abs(kept.mean(dtype=np.float64) - 1) < 1e-3, "kept weights need a mean of 1"
        assert self.lr_scale > 0, self.lr_scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """The example weights of a whole training: phases in order of their start, the first at 0.

    keep_share: None, or progress -> share of smallest losses of each batch that count (`small_loss_weights`).
    """

    phases: tuple[Phase, ...]
    keep_share: Callable[[float], float] | None = None

    def __post_init__(self) -> None:
        """Check that the first phase starts at 0 and starts increase."""
        starts = [phase.start for phase in self.phases]
        assert starts[:1] == [0], starts
        assert all(a < b for a, b in pairwise(starts)), starts


def alike(kept: Kept) -> Phase:
    """Weight 1 for those kept, 0 for the rest."""
    return Phase(start=0.0, weights=kept.astype(np.float32), lr_scale=1.0)


def weighed(weights: Weights, score: NDArray[np.float64], classes: NDArray[np.bool_], share: float) -> Phase:
    """Those that `top_by_class` keeps, with equal weights or graded by their rank within their class."""
    kept = top_by_class(score, classes, share)
    return _graded(kept, score, classes) if weights == "graded" else alike(kept)


def _graded(kept: Kept, score: NDArray[np.float64], classes: NDArray[np.bool_]) -> Phase:
    """Weights 2·i/(m + 1) for the i-th lowest score of the m kept examples of a class: a mean of 1 in each.

    Ranks rather than scores, so that no example outweighs the others; of equal scores the lower index leads.
    """
    found = np.zeros(len(score), dtype=np.float32)
    for rows in (np.flatnonzero(kept & ~classes), np.flatnonzero(kept & classes)):
        rising = rows[np.argsort(-score[rows], kind="stable")[::-1]]
        found[rising] = 2 * np.arange(1, len(rows) + 1) / (len(rows) + 1)
    return Phase(start=0.0, weights=found, lr_scale=1.0)


def scaled(weights: NDArray[np.float64]) -> Phase:
    """Weights [n], at least 0 and one of them above, divided by the mean of those above 0."""
    found = weights.astype(np.float32)  # before what is positive is counted: the smallest become 0
    return Phase(start=0.0, weights=found / found[found > 0].mean(), lr_scale=1.0)


def quota(share: float, total: int) -> int:
    """A share of whole examples, rounded half up, at least one."""
    return max(1, math.floor(share * total + 0.5))


def top(score: NDArray[np.float64], count: int) -> Kept:
    """The `count` highest scores."""
    kept = np.zeros(len(score), dtype=np.bool_)
    kept[np.argsort(-score, kind="stable")[:count]] = True
    return kept


def top_by_class(score: NDArray[np.float64], classes: NDArray[np.bool_], share: float) -> Kept:
    """An equal part of the quota of a share from each class present; class 0 gets the odd example."""
    members = [rows for rows in (np.flatnonzero(~classes), np.flatnonzero(classes)) if len(rows)]
    total = quota(share, len(score))
    kept = np.zeros(len(score), dtype=np.bool_)
    for place, rows in enumerate(members):
        count = max(1, (total + len(members) - 1 - place) // len(members))
        kept[rows[top(score[rows], count)]] = True
    return kept
