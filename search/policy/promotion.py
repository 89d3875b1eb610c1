"""Which trial a free worker trains: a new trial or a paused one. Pure.

Every trial pauses at every rung. Each time a worker is free, all paused trials and a set of new draws compete
for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from search.policy.beliefs import Outlook, on_all_tasks, one_blas_thread, stopped_at
from search.policy.gaussian_process import Hyperparameters, Surrogate, fitted
from search.policy.observations import Ints, Observations, Scoreboard
from search.scoring.pgr import Reals
from trainers.component import Frozen
from trainers.lazy import special

REFIT = 1.3  # growth of the number of scores after which the hyperparameters are fitted again


class PromotionConfig(Frozen):
    """Freeze-thaw: trials pause at rungs and resume in the order of expected gain per cost."""

    first: Annotated[
        int,
        Field(
            ge=2,
            le=1000,
            description="Scores before the surrogate decides, but at most half as many as there are trials. "
            "Until then new methods come first; only the best early trial of each branch is trained on.",
        ),
    ] = 16
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

    def of_trials(self, trials: int) -> "PromotionConfig":
        """The settings of a search of so many trials.

        A few trials on several tasks would spend their whole budget on so many scores, each of a first rung.
        """
        return self.model_copy(update={"first": min(self.first, max(2, trials // 2))})


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a worker could train on: trials to their next rung; with several tasks, methods on all of them.

    points: [m, d], encoded methods. costs: [m, rungs], of the training from where a trial is up to each rung,
    in any unit; infinite at rungs that it cannot train to. With several tasks summed over them, up to each
    rung on all. places: int [m], how far each is (search.policy.ladder); None where the next rung says it.
    """

    points: Reals
    costs: Reals
    places: Ints | None = None

    @property
    def rungs(self) -> Ints:
        """The next rung of each, int [m]."""
        return np.asarray(np.isfinite(self.costs).argmax(axis=1))


class Promotion:
    """Chooses the trial with the highest expected improvement, per cost, over the best method so far.

    Freeze-thaw (Swersky et al., 2014, arXiv:1406.3896) as in DyHPO (Wistuba et al., 2022, arXiv:2202.09774),
    with a plain Gaussian process. A trial at a rung is the finished trial of the method that stops there: the
    share of the schedule is a coordinate like any other, and all scores compare. A candidate counts for the
    best it could become at any later rung, per cost of the training up to there. The only state between calls
    is the last hyperparameters, which can be fitted again from the scores.

    With several tasks a method counts for its mean over all of them, on the scale on which the objective
    averages them, per cost on all of them (Swersky et al., 2013, "Multi-task Bayesian optimization"): the
    task is another coordinate, and the lengthscales say how alike tasks are. Scores on one task so say
    something of the others, and a mean is never taken over those that happen to be there.
    """

    def __init__(
        self,
        config: PromotionConfig,
        *,
        rungs: Sequence[float],
        column: int,
        codes: Sequence[Reals] = (np.empty(0),),
    ) -> None:
        """rungs: rising shares of a training. column: of the points, the one of the share trained.

        codes: of the tasks that methods are searched for, what the points of scores there end with; see
        `task_codes`.
        """
        self._codes = codes
        self._config = config
        self._rungs = rungs
        self._column = column
        self._parameters: Hyperparameters | None = None
        self._fitted_on = 0

    def choose(self, scores: Scoreboard, candidates: Candidates, rng: np.random.Generator) -> int:
        """The index of the candidate to train to its next rung. Ties go to the earlier candidate.

        With fewer than `first` scores, those of earlier runs included: the first candidate at the lowest
        place. rng: draws the sample of scores. Raises ValueError without candidates.
        """
        if len(candidates.rungs) == 0:
            raise ValueError("there is no candidate to choose from: draw a new trial or end the search")
        if scores.known < self._config.first:
            return int(np.argmin(candidates.rungs if candidates.places is None else candidates.places))
        observations = scores.sample(self._config.evidence, rng)
        with one_blas_thread():
            return int(np.argmax(self._log_gains(observations, len(scores), candidates)))

    def outlook(self, scores: Scoreboard, rng: np.random.Generator) -> Outlook | None:
        """What the surrogate believes now; None as long as it does not decide. rng: as for `choose`."""
        if len(scores) < self._config.first:
            return None
        return Outlook(
            seen=scores.sample(self._config.evidence, rng),
            scores=scores.values,
            parameters=self._parameters,
            codes=self._codes,
            rungs=self._rungs,
            column=self._column,
        )

    def _log_gains(self, seen: Observations, scores: int, candidates: Candidates) -> Reals:
        """[m] the logarithm of the expected improvement, in normal scores, per cost; of each one's best rung.

        seen: a sample of the scores; scores: how many there are in all. The best so far is the highest
        expected value, not the highest score: that of many noisy scores is a lucky one.
        """
        surrogate = Surrogate(seen.points, seen.values, self._fit(seen.points, seen.values, scores))
        best = surrogate.predict_mean(on_all_tasks(self._methods(seen.points), self._codes))[0].max()
        gains = np.full(candidates.costs.shape, -np.inf)
        for rung, share in enumerate(self._rungs):
            ahead = np.isfinite(candidates.costs[:, rung])
            if ahead.any():
                points = stopped_at(candidates.points[ahead], self._column, share)
                mean, deviation = surrogate.predict_mean(on_all_tasks(points, self._codes))
                gain = _log_expected_gain(mean - best, deviation)
                gains[ahead, rung] = gain - np.log(candidates.costs[ahead, rung])
        return np.asarray(gains.max(axis=1))

    def _methods(self, points: Reals) -> Reals:
        """The points of scores without the task they are of."""
        return points[:, : points.shape[1] - len(self._codes[0])]

    def _fit(self, points: Reals, values: Reals, scores: int) -> Hyperparameters:
        if self._parameters is None or scores >= REFIT * self._fitted_on:
            start = self._parameters or Hyperparameters.prior(points.shape[1])
            self._parameters = fitted(points, values, start)
            self._fitted_on = scores
        return self._parameters


def task_codes(tasks: int) -> list[Reals]:
    """The coordinates of each task, float [tasks], at distance 1 from any other; none if it is the only one.

    Tasks of earlier runs are among them.
    """
    return [row * math.sqrt(0.5) for row in np.eye(tasks)] if tasks > 1 else [np.empty(0)]


def _log_expected_gain(mean: Reals, deviation: Reals) -> Reals:
    """The log of E[max(0, g)], g ~ Normal(mean, deviation), floored at underflow (Jones et al., 1998)."""
    z = mean / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    gain: Reals = deviation * (z * special.ndtr(z) + density)
    logs: Reals = np.log(np.maximum(gain, np.finfo(np.float64).tiny))
    return logs
