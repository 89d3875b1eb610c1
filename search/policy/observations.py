"""All scores of a search, and a sample of bounded size for the surrogate to learn from. Pure."""

from collections.abc import Sequence
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

    def __len__(self) -> int:
        return len(self.values)

    def some(self, count: int, rng: np.random.Generator) -> "Observations":
        """At most so many of them, at random, in their order."""
        if len(self) <= count:
            return self
        chosen = np.sort(rng.choice(len(self), count, replace=False))
        return Observations(points=self.points[chosen], rungs=self.rungs[chosen], values=self.values[chosen])

    @classmethod
    def joined(cls, parts: Sequence["Observations"]) -> "Observations":
        """All of one or more, one after another."""
        return cls(
            points=np.concatenate([part.points for part in parts]),
            rungs=np.concatenate([part.rungs for part in parts]),
            values=np.concatenate([part.values for part in parts]),
        )


class Scoreboard:
    """One score per trial and rung, in the order of arrival.

    Scores on several tasks compare once what is due to the task is subtracted: the median score of the
    methods that began there, on their first rungs. Which methods begin where is decided before anything is
    known of them, so these medians differ by the tasks alone, while a mean over all scores of a task would
    also tell which methods were sent there.
    """

    def __init__(self, tasks: int = 1, earlier: Observations | None = None) -> None:
        """earlier: scores of earlier runs, ranked among those of their own task; None without any."""
        self._earlier = earlier
        self._points: list[Reals] = []
        self._values = _Column()
        self._rungs = _Column()
        self._tasks = _Column()
        self._first: list[list[float]] = [[] for _ in range(tasks)]

    def __len__(self) -> int:
        return len(self._points)

    @property
    def known(self) -> int:
        """How many scores there are to learn from, with those of earlier runs."""
        return len(self) + (len(self._earlier) if self._earlier else 0)

    def add(self, point: Reals, rung: int, value: float, task: int = 0, *, first: bool = False) -> None:
        """Add a score; higher is better. NaN stands for a failed trial and ranks below all others.

        task: the index of the task it is of. first: whether it is the first of its method, on any task.
        """
        comparable = -np.inf if np.isnan(value) else value
        self._points.append(point)
        self._values.add(comparable)
        self._rungs.add(rung)
        self._tasks.add(task)
        if first and np.isfinite(comparable):
            self._first[task].append(value)

    @property
    def effects(self) -> Reals:
        """[tasks] what is due to each task; that of all tasks together for one where no method has begun."""
        everywhere = [value for values in self._first for value in values]
        middle = float(np.median(everywhere)) if everywhere else 0.0
        return np.array([float(np.median(values)) if values else middle for values in self._first])

    @property
    def _compared(self) -> Reals:
        """The scores, in the order of arrival, less what is due to their tasks."""
        values = self._values.seen
        return values - self.effects[self._tasks.seen.astype(int)] if len(self._first) > 1 else values

    @property
    def values(self) -> Reals:
        """All scores as they would be on the average task, ascending, those of failed trials as -inf."""
        average = float(self.effects.mean()) if len(self._first) > 1 else 0.0
        return np.sort(self._compared + average)

    def sample(self, limit: int, rng: np.random.Generator) -> Observations:
        """At most `limit` scores, in order of arrival: half are the best of each rung, the rest random.

        A value, less what is due to its task, becomes the normal quantile of its rank among all scores (van
        der Waerden); ties share a quantile. Ranks remove the long tails of losses and the scale of PGR.
        Scores of earlier runs come first, at random, as many as these leave room for.
        """
        if not self._earlier:
            return self._own(limit, rng)
        own = [self._own(limit, rng)] if len(self) else []
        room = limit - sum(map(len, own))
        return Observations.joined([self._earlier.some(room, rng), *own])

    def _own(self, limit: int, rng: np.random.Generator) -> Observations:
        values = self._compared
        by_rank = np.lexsort((-np.arange(len(self)), values))  # ties: the last to arrive first
        chosen = np.sort(by_rank[self._sampled_ranks(by_rank, limit, rng)])
        return Observations(
            points=np.stack([self._points[i] for i in chosen]),
            rungs=self._rungs.seen[chosen].astype(np.int64),
            values=normal_scores(values[by_rank], values[chosen]),
        )

    def _sampled_ranks(self, by_rank: Ints, limit: int, rng: np.random.Generator) -> Ints:
        n = len(self)
        if n <= limit:
            return np.arange(n)
        at = self._rungs.seen[by_rank]
        share = max(1, limit // (2 * len(np.unique(at))))
        best = np.concatenate([np.flatnonzero(at == rung)[-share:] for rung in np.unique(at)])
        others = np.delete(np.arange(n), best)
        return np.concatenate([best, rng.choice(others, limit - len(best), replace=False)])


class _Column:
    """Numbers that are appended one by one and read as an array."""

    def __init__(self) -> None:
        self._room: Reals = np.empty(16)
        self._count = 0

    def add(self, value: float) -> None:
        if self._count == len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[self._count] = value
        self._count += 1

    @property
    def seen(self) -> Reals:
        return self._room[: self._count]


def normal_scores(ranked: Reals, values: Reals) -> Reals:
    """The normal quantiles of the ranks of some values. ranked: all of them, ascending."""
    low, high = (np.searchsorted(ranked, values, side=side) for side in ("left", "right"))
    quantiles: Reals = special.ndtri((low + high) / 2 / len(ranked))
    return quantiles
