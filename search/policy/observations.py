"""All scores of a search, and a sample of bounded size for the surrogate to learn from. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.scoring.pgr import Reals
from trainers.lazy import special

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Scores to learn from.

    points: [n, d], roughly in the unit cube. rungs: int [n], from 0. values: [n], normal scores.
    """

    points: Reals
    rungs: Ints
    values: Reals


class Scoreboard:
    """One score per trial and rung, sorted by value; the order of arrival is kept too."""

    def __init__(self) -> None:
        self._points: list[Reals] = []
        self._values: Reals = np.empty(0)  # ascending
        self._arrivals: Ints = np.empty(0, dtype=np.int64)  # of each value, its index in `_points`
        self._rungs: Ints = np.empty(0, dtype=np.int64)  # of each value, its rung

    def __len__(self) -> int:
        return len(self._points)

    def add(self, point: Reals, rung: int, value: float) -> None:
        """Add a score; higher is better. NaN stands for a failed trial and ranks below all others."""
        comparable = -np.inf if np.isnan(value) else value
        rank = int(np.searchsorted(self._values, comparable))
        self._values = np.insert(self._values, rank, comparable)
        self._arrivals = np.insert(self._arrivals, rank, len(self))
        self._rungs = np.insert(self._rungs, rank, rung)
        self._points.append(point)

    def sample(self, limit: int, rng: np.random.Generator) -> Observations:
        """At most `limit` scores, in order of arrival: half are the best of each rung, the rest random.

        A value becomes the normal quantile of its rank among all scores (van der Waerden); ties share a
        quantile. Ranks remove the long tails of losses and the scale of PGR.
        """
        ranks = self._sampled_ranks(limit, rng)
        return Observations(
            points=np.stack([self._points[i] for i in self._arrivals[ranks]]),
            rungs=self._rungs[ranks],
            values=self._normal_scores(self._values[ranks]),
        )

    def _sampled_ranks(self, limit: int, rng: np.random.Generator) -> Ints:
        n = len(self)
        if n <= limit:
            ranks = np.arange(n)
        else:
            rungs = np.flatnonzero(np.bincount(self._rungs))
            share = max(1, limit // (2 * len(rungs)))
            best = np.concatenate([np.flatnonzero(self._rungs == rung)[-share:] for rung in rungs])
            others = np.delete(np.arange(n), best)
            ranks = np.concatenate([best, rng.choice(others, limit - len(best), replace=False)])
        return ranks[np.argsort(self._arrivals[ranks])]

    def _normal_scores(self, values: Reals) -> Reals:
        low, high = (np.searchsorted(self._values, values, side=side) for side in ("left", "right"))
        quantiles: Reals = special.ndtri((low + high) / 2 / len(self))
        return quantiles
