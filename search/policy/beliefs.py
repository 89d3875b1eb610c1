"""What the surrogate believes of methods, in PGR. Pure."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from search.policy.gaussian_process import Hyperparameters, Surrogate, fitted
from search.policy.observations import Ints, Observations
from search.scoring.pgr import Reals
from trainers.lazy import linalg, special

STOP_SPAN = math.log(100)  # of the logarithm of the share trained, over the unit interval


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Of each point: expected PGR at its best rung, one deviation below and above, and that rung; each [m].

    Values stay between the lowest and the highest score so far: a surrogate of ranks knows no others.
    """

    pgr: Reals
    low: Reals
    high: Reals
    rung: Ints


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The surrogate at one moment, which may be asked from any thread.

    seen: the scores that it is fitted to. scores: all of them, ascending, -inf for trials that failed.
    parameters: of the last fit; None to fit them at the first question. codes: of each task, what its scores'
    points end with; a method counts for its mean over all, on the scale on which the objective averages
    them.
    """

    seen: Observations
    scores: Reals
    parameters: Hyperparameters | None
    rungs: Sequence[float]
    column: int
    codes: Sequence[Reals]

    def of(self, points: Reals) -> Expected:
        """The beliefs about encoded methods [m, d], m at least 1."""
        means, deviations = [], []
        with one_blas_thread():
            for share in self.rungs:
                stopped = stopped_at(points, self.column, share)
                mean, deviation = self._surrogate.predict_mean(on_all_tasks(stopped, self.codes))
                means.append(mean)
                deviations.append(deviation)
        rung = np.argmax(means, axis=0)
        each = np.arange(len(points))
        best, deviation = np.array(means)[rung, each], np.array(deviations)[rung, each]
        low, pgr, high = (self._pgr(best + sign * deviation) for sign in (-1, 0, 1))
        return Expected(pgr=pgr, low=low, high=high, rung=rung)

    @cached_property
    def _surrogate(self) -> Surrogate:
        points, values = self.seen.points, self.seen.values
        start = self.parameters or fitted(points, values, Hyperparameters.prior(points.shape[1]))
        return Surrogate(points, values, start)

    def _pgr(self, normal: Reals) -> Reals:
        """The PGR of normal scores: the inverse of `Scoreboard.sample`, linear between two scores."""
        known = self.scores[np.isfinite(self.scores)]
        failed, n = len(self.scores) - len(known), len(self.scores)
        if not len(known):
            return np.full(len(normal), np.nan)
        places = special.ndtr(normal) * n - 0.5 - failed
        return np.asarray(np.interp(places, np.arange(len(known)), known))


def on_all_tasks(points: Reals, codes: Sequence[Reals]) -> Reals:
    """[tasks, m, d] methods, [m, d'], on every task. codes: of the tasks."""
    return np.stack([np.hstack([points, np.tile(code, (len(points), 1))]) for code in codes])


def stopped_at(points: Reals, column: int, share: float) -> Reals:
    """The points [n, d] of methods that stop at a share of their training. column: of the share trained."""
    points = points.copy()
    points[:, column] += math.log(share) / STOP_SPAN
    return points


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keeps linear algebra to one thread: two beside busy workers take ten times as long."""
    limit: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limit


@cache
def _blas() -> ThreadpoolController:
    """Limits the BLAS threads of numpy's library and of scipy's own."""
    assert linalg.cho_solve  # loads scipy.linalg: a controller finds only libraries loaded before it
    return ThreadpoolController()
