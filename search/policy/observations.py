"""All scores of a search, kept so that choosing by them costs the same however many there are. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.scoring.pgr import Reals
from trainers.lazy import special

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Scores to learn from: points [n, d], about the unit cube; rungs int [n] from 0; values [n], normal."""

    points: Reals
    rungs: Ints
    values: Reals


class Scoreboard:
    """One score a trial and rung, in the order they came in and in that of their values."""

    def __init__(self) -> None:
        self._points: list[Reals] = []
        self._ladder: Reals = np.empty(0)  # the values, rising
        self._order: Ints = np.empty(0, dtype=np.int64)  # whose value stands at each step of the ladder
        self._reached: Ints = np.empty(0, dtype=np.int64)  # the rung it was reached at

    def __len__(self) -> int:
        return len(self._points)

    def add(self, point: Reals, rung: int, value: float) -> None:
        """Take in a score: higher is better; NaN, a failed trial, ranks below all others."""
        known = -np.inf if np.isnan(value) else value
        step = int(np.searchsorted(self._ladder, known))
        self._ladder = np.insert(self._ladder, step, known)
        self._order = np.insert(self._order, step, len(self))
        self._reached = np.insert(self._reached, step, rung)
        self._points.append(point)

    def evidence(self, most: int, draws: np.random.Generator) -> Evidence:
        """At most so many scores, in the order they came in: half the best of each rung, the others drawn.

        A value becomes the normal quantile of its rank among all scores (van der Waerden), ties share theirs:
        ranks leave the long tails of losses and the scale of PGR alike.
        """
        steps = self._steps(most, draws)
        return Evidence(
            points=np.stack([self._points[i] for i in self._order[steps]]),
            rungs=self._reached[steps],
            values=self._normal_scores(self._ladder[steps]),
        )

    def _steps(self, most: int, draws: np.random.Generator) -> Ints:
        n = len(self)
        if n <= most:
            steps = np.arange(n)
        else:
            rungs = np.flatnonzero(np.bincount(self._reached))
            share = max(1, most // (2 * len(rungs)))
            best = np.concatenate([np.flatnonzero(self._reached == rung)[-share:] for rung in rungs])
            others = np.delete(np.arange(n), best)
            steps = np.concatenate([best, draws.choice(others, most - len(best), replace=False)])
        return steps[np.argsort(self._order[steps])]

    def _normal_scores(self, values: Reals) -> Reals:
        low, high = (np.searchsorted(self._ladder, values, side=side) for side in ("left", "right"))
        quantiles: Reals = special.ndtri((low + high) / 2 / len(self))
        return quantiles
