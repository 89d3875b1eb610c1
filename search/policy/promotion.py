"""Which trial a free worker trains: a new one, or one that waits at a rung. Pure.

Every trial pauses at every rung. Whether it goes on is decided each time that a worker is free, against all
others that wait and against new draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
from pydantic import Field
from threadpoolctl import ThreadpoolController

from search.policy.gaussian_process import Hyperparameters, Surrogate, fitted
from search.policy.observations import Evidence, Ints, Scoreboard
from search.policy.paused_trials import PausedTrial
from search.scoring.pgr import Reals
from trainers.component import Frozen
from trainers.lazy import linalg, special

REFIT = 1.3  # growth of the evidence after which the hyperparameters are fitted again
FEW = 4  # scores at a rung below which those at lower ones count there too


class PromotionConfig(Frozen):
    """Freeze-thaw: trials pause at rungs, and go on in the order of expected gain per cost."""

    first: Annotated[
        int,
        Field(
            ge=2,
            le=1000,
            description="Scores seen before the surrogate decides. Until then all trials are new.",
        ),
    ] = 16
    foresight: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Share of decisions that look at a random later rung instead of the next one.",
        ),
    ] = 0.5
    evidence: Annotated[
        int,
        Field(
            ge=16,
            le=2000,
            description="Most scores that the surrogate is fitted to, at least one from each rung.",
        ),
    ] = 256
    draws: Annotated[
        int, Field(ge=8, le=4096, description="New methods to choose from at a time, over all branches.")
    ] = 256
    waiting: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Most trials that wait at a rung. Beyond it, the branch with most of them loses its "
            "worst.",
        ),
    ] = 16


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Trials that a worker could train to their next rung: points [m, d], that rung, int [m], its cost [m].

    The cost, above 0 and in any unit, is that of the training still missing to that rung.
    """

    points: Reals
    rungs: Ints
    costs: Reals


def candidates(paused: Sequence[PausedTrial], new: Sequence[Reals], rungs: Sequence[float]) -> Candidates:
    """First the paused trials, then the points of new ones. rungs: where the rungs lie, in any unit."""
    ahead = np.array([trial.rung + 1 for trial in paused] + [0] * len(new), dtype=np.int64)
    costs = np.diff(rungs, prepend=0.0)
    return Candidates(
        points=np.stack([*(trial.point for trial in paused), *new]), rungs=ahead, costs=costs[ahead]
    )


class Promotion:
    """Chooses by expected improvement at a rung ahead over the best there, per cost.

    Freeze-thaw (Swersky et al., 2014, arXiv:1406.3896) as in DyHPO (Wistuba et al., 2022, arXiv:2202.09774),
    with a plain Gaussian process over methods and rungs, and now and then a random horizon (Rakotoarison et
    al., 2024, arXiv:2404.16795): where early rungs mislead, the next one alone would never tell. Between
    calls it holds nothing but its last hyperparameters, which any scores give again.
    """

    def __init__(self, config: PromotionConfig, *, rungs: int) -> None:
        self._config = config
        self._rungs = rungs
        self._parameters: Hyperparameters | None = None
        self._fitted_on = 0

    def choose(self, scores: Scoreboard, candidates: Candidates, draws: np.random.Generator) -> int:
        """The index of the candidate to train to its next rung. Ties go to the earlier one.

        With fewer than `first` scores: the earliest at the lowest rung. draws: for the horizon, and for the
        evidence where there is too much. Raises ValueError without candidates.
        """
        if len(candidates.rungs) == 0:
            raise ValueError("there is no candidate to choose from: draw a new trial or end the search")
        if len(scores) < self._config.first:
            return int(np.argmin(candidates.rungs))
        looks_far = draws.random() < self._config.foresight
        horizon = int(draws.integers(self._rungs)) if looks_far else 0
        evidence = scores.evidence(self._config.evidence, draws)
        with _blas().limit(limits=1, user_api="blas"):  # two, beside busy workers, take ten times as long
            return int(np.argmax(self._gains(evidence, len(scores), candidates, horizon)))

    def _gains(self, evidence: Evidence, seen: int, candidates: Candidates, horizon: int) -> Reals:
        """[m] the logarithm of the expected improvement, in normal scores, per cost."""
        points = self._with_rungs(evidence.points, evidence.rungs)
        parameters = self._fit(points, evidence, seen)
        surrogate = Surrogate(points, evidence.values, parameters)
        best = _best_so_far(points, evidence.rungs, surrogate, self._rungs)
        ahead = np.maximum(candidates.rungs, horizon)
        mean, deviation = surrogate.predict(self._with_rungs(candidates.points, ahead))
        gain = _log_expected_gain(mean - best[ahead], deviation)
        return gain - np.log(candidates.costs)

    def _with_rungs(self, points: Reals, rungs: Ints) -> Reals:
        return np.column_stack([points, rungs / max(1, self._rungs - 1)])

    def _fit(self, points: Reals, evidence: Evidence, seen: int) -> Hyperparameters:
        if self._parameters is None or seen >= REFIT * self._fitted_on:
            start = self._parameters or Hyperparameters.prior(points.shape[1])
            self._parameters = fitted(points, evidence.values, start)
            self._fitted_on = seen
        return self._parameters


@cache
def _blas() -> ThreadpoolController:
    """Sets the number of BLAS threads: those of numpy's library, and those of scipy's own."""
    assert linalg.cho_solve  # loads scipy.linalg; a controller finds only what is loaded when it is made
    return ThreadpoolController()


def _best_so_far(points: Reals, rungs: Ints, surrogate: Surrogate, count: int) -> Reals:
    """[count] at each rung the highest expected value of a trial seen there; -inf where none was.

    The expected value, not the score: among many noisy scores the highest is a lucky one. Where few were
    seen, those below count too. Not for good: where curves fall, no trial would ever be worth completing.
    """
    expected, _ = surrogate.predict(points)
    best = np.full(count, -np.inf)
    np.maximum.at(best, rungs, expected)
    few = np.bincount(rungs, minlength=count) < FEW
    return np.where(few, np.maximum.accumulate(best), best)


def _log_expected_gain(ahead: Reals, deviation: Reals) -> Reals:
    """The log of E[max(0, g)], g ~ Normal(ahead, deviation), floored at underflow (Jones et al., 1998)."""
    z = ahead / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    gain: Reals = deviation * (z * special.ndtr(z) + density)
    logs: Reals = np.log(np.maximum(gain, np.finfo(np.float64).tiny))
    return logs
