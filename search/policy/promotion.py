"""Which trial a free worker trains: a new trial or a paused one. Pure.

Every trial pauses at every rung. Each time a worker is free, all paused trials and a set of new draws compete
for it.
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
from search.policy.observations import Ints, Observations, Scoreboard
from search.policy.paused_trials import PausedTrial
from search.scoring.pgr import Reals
from trainers.component import Frozen
from trainers.lazy import linalg, special

REFIT = 1.3  # growth of the number of scores after which the hyperparameters are fitted again
FEW = 4  # with fewer scores at a rung, the best of lower rungs counts there too


class PromotionConfig(Frozen):
    """Freeze-thaw: trials pause at rungs and resume in the order of expected gain per cost."""

    first: Annotated[
        int,
        Field(
            ge=2,
            le=1000,
            description="Scores before the surrogate decides. Until then new methods come first; only the "
            "best early trial of each branch is trained on.",
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
            description="Maximum number of scores the surrogate is fitted to; at least one from each rung.",
        ),
    ] = 256
    draws: Annotated[
        int,
        Field(ge=8, le=4096, description="New methods to choose from at each decision, over all branches."),
    ] = 256
    waiting: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Maximum number of paused trials at a rung. Beyond it, the worst trial of the branch "
            "with the most paused trials there ends.",
        ),
    ] = 16


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Trials that a worker could train to their next rung.

    points: [m, d], encoded methods. rungs: int [m], the next rung. costs: [m], of the training up to that
    rung, above 0 and in any unit.
    """

    points: Reals
    rungs: Ints
    costs: Reals


def candidates(paused: Sequence[PausedTrial], new: Sequence[Reals], rungs: Sequence[float]) -> Candidates:
    """First the paused trials, then the new methods, encoded. rungs: training at each rung, in any unit."""
    next_rungs = np.array([trial.rung + 1 for trial in paused] + [0] * len(new), dtype=np.int64)
    costs = np.diff(rungs, prepend=0.0)
    return Candidates(
        points=np.stack([*(trial.point for trial in paused), *new]), rungs=next_rungs, costs=costs[next_rungs]
    )


class Promotion:
    """Chooses the trial with the highest expected improvement, per cost, over the best at a later rung.

    Freeze-thaw (Swersky et al., 2014, arXiv:1406.3896) as in DyHPO (Wistuba et al., 2022, arXiv:2202.09774),
    with a plain Gaussian process over methods and rungs. Some decisions use a random horizon (Rakotoarison et
    al., 2024, arXiv:2404.16795): where early rungs mislead, looking only at the next rung never shows it.
    The only state between calls is the last hyperparameters, which can be fitted again from the scores.
    """

    def __init__(self, config: PromotionConfig, *, rungs: int) -> None:
        self._config = config
        self._rungs = rungs
        self._parameters: Hyperparameters | None = None
        self._fitted_on = 0

    def choose(self, scores: Scoreboard, candidates: Candidates, rng: np.random.Generator) -> int:
        """The index of the candidate to train to its next rung. Ties go to the earlier candidate.

        With fewer than `first` scores: the first candidate at the lowest rung. rng: draws the horizon, and
        the sample of scores. Raises ValueError without candidates.
        """
        if len(candidates.rungs) == 0:
            raise ValueError("there is no candidate to choose from: draw a new trial or end the search")
        if len(scores) < self._config.first:
            return int(np.argmin(candidates.rungs))
        random_horizon = rng.random() < self._config.foresight
        horizon = int(rng.integers(self._rungs)) if random_horizon else 0
        observations = scores.sample(self._config.evidence, rng)
        # Two BLAS threads beside busy workers take ten times as long as one.
        with _blas().limit(limits=1, user_api="blas"):
            return int(np.argmax(self._log_gains(observations, len(scores), candidates, horizon)))

    def _log_gains(self, seen: Observations, scores: int, candidates: Candidates, horizon: int) -> Reals:
        """[m] the logarithm of the expected improvement, in normal scores, per cost.

        seen: a sample of the scores; scores: how many there are in all.
        """
        points = self._with_rungs(seen.points, seen.rungs)
        parameters = self._fit(points, seen.values, scores)
        surrogate = Surrogate(points, seen.values, parameters)
        best = _best_so_far(points, seen.rungs, surrogate, self._rungs)
        ahead = np.maximum(candidates.rungs, horizon)
        mean, deviation = surrogate.predict(self._with_rungs(candidates.points, ahead))
        return _log_expected_gain(mean - best[ahead], deviation) - np.log(candidates.costs)

    def _with_rungs(self, points: Reals, rungs: Ints) -> Reals:
        return np.column_stack([points, rungs / max(1, self._rungs - 1)])

    def _fit(self, points: Reals, values: Reals, scores: int) -> Hyperparameters:
        if self._parameters is None or scores >= REFIT * self._fitted_on:
            start = self._parameters or Hyperparameters.prior(points.shape[1])
            self._parameters = fitted(points, values, start)
            self._fitted_on = scores
        return self._parameters


@cache
def _blas() -> ThreadpoolController:
    """Limits the BLAS threads of numpy's library and of scipy's own."""
    assert linalg.cho_solve  # loads scipy.linalg: a controller finds only libraries loaded before it
    return ThreadpoolController()


def _best_so_far(points: Reals, rungs: Ints, surrogate: Surrogate, count: int) -> Reals:
    """[count] the highest expected value of the trials scored at each rung; -inf where there are none.

    Expected values, not scores: the highest of many noisy scores is a lucky one. At a rung with fewer than
    FEW scores the best of lower rungs counts too. Only there: where curves fall with training, no trial would
    ever look worth completing.
    """
    expected, _ = surrogate.predict(points)
    best = np.full(count, -np.inf)
    np.maximum.at(best, rungs, expected)
    few = np.bincount(rungs, minlength=count) < FEW
    return np.where(few, np.maximum.accumulate(best), best)


def _log_expected_gain(mean: Reals, deviation: Reals) -> Reals:
    """The log of E[max(0, g)], g ~ Normal(mean, deviation), floored at underflow (Jones et al., 1998)."""
    z = mean / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    gain: Reals = deviation * (z * special.ndtr(z) + density)
    logs: Reals = np.log(np.maximum(gain, np.finfo(np.float64).tiny))
    return logs
