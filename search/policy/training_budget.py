"""How much training a search may still start, in predicted seconds. Pure."""

import math
from typing import TypedDict

import numpy as np

from search.policy.ladder import Ladder
from search.policy.training_seconds import Prices, Step
from search.scoring.pgr import Reals

TOLERANCE = 1e-9  # relative: sums of predictions are not exact


class Limits(TypedDict):
    """What limits a search; see `Budget.limit`."""

    trials: int
    effort: float
    max_s: float | None


class Budget:
    """Counts trials and seconds of training. A step that a trial is given counts until its seconds are known.

    The training that new trials need to reach their first rung is reserved for them; where seconds were
    given, at most half of those that are left, since the number of trials may be far more than fit.
    """

    def __init__(self, seconds: Prices, *, trials: int, effort: float, max_s: float | None) -> None:
        """seconds: predicts the steps. For the others see `limit`."""
        self._seconds = seconds
        self.limit(trials=trials, effort=effort, max_s=max_s)
        self._trainings = _Sum()
        self._first_steps = _Sum()
        self._given: dict[str, Step] = {}
        self._spent_s = 0.0
        self._shared_s = 0.0
        self.started = 0

    def limit(self, *, trials: int, effort: float, max_s: float | None) -> None:
        """Set the limits, at first or anew.

        trials: how many may start. effort: the share of what it would take to train all of them to the end.
        max_s: the seconds that may be trained instead, if given.
        """
        self._trials = trials
        self._effort = effort
        self._max_s = max_s

    @property
    def new_left(self) -> int:
        """Trials that may still be started; none once the seconds that were given are used up."""
        if self._max_s is not None and self.started and self._max_s - self.spent_s < self._first_step_s:
            return 0
        return max(0, self._trials - self.started)

    @property
    def _first_step_s(self) -> float:
        """Mean predicted seconds of a trial's training to its first rung."""
        return self._first_steps.mean(self._seconds.costs)

    @property
    def total_s(self) -> float:
        """Seconds that may be trained. Trials that have yet to start count like the mean of the others."""
        if self._max_s is not None:
            return self._max_s
        return self._effort * self._trials * self.training_s

    @property
    def training_s(self) -> float:
        """Mean predicted seconds of the whole training of the trials that have started."""
        return self._trainings.mean(self._seconds.costs)

    @property
    def spent_s(self) -> float:
        """Seconds trained, with the predicted seconds of steps on their way.

        Of seconds that were given, what all trials share takes its part; a share of what training takes, it
        does not.
        """
        shared_s = 0.0 if self._max_s is None else self._shared_s
        return self._spent_s + shared_s + float(self._seconds.predict(list(self._given.values())).sum())

    def start(self, ladder: Ladder) -> None:
        """Count a trial that starts, of a method with this ladder."""
        self.started += 1
        self._first_steps.add(ladder.amounts[0])
        self._trainings.add(ladder.amounts[-1])

    def give(self, trial: str, step: Step) -> None:
        """Count a step that a trial is given."""
        self._given[trial] = step

    def end(self, trial: str, seconds: float | None, *, shared_s: float = 0.0) -> None:
        """Count the end of a step that took so many seconds; None: unknown, because it failed.

        shared_s: what it took besides, for all trials.
        """
        step = self._given.pop(trial)
        self._shared_s += shared_s
        self._spent_s += float(self._seconds.predict([step])[0]) if seconds is None else seconds

    @property
    def longest_start_s(self) -> float:
        """Seconds to its first rung that a new trial may take: no limit unless seconds were given.

        Of these it may take half of what is left: it is the first of several.
        """
        if self._max_s is None or not self.started:
            return math.inf
        return (self._max_s - self.spent_s) / 2

    def affordable(self, seconds: Reals, *, more_to_come: bool) -> list[bool]:
        """For each of some steps, given by their seconds, whether a trial may train it.

        more_to_come: whether new trials may still start.
        """
        left = self.total_s * (1 + TOLERANCE) - self.spent_s
        reserved = self.new_left * self._first_step_s if more_to_come else 0.0
        if self._max_s is not None:
            reserved = min(reserved, left / 2)
        return [bool(cost <= left - reserved) for cost in seconds]


class _Sum:
    """A sum of amounts, so that a mean can be priced by the latest costs."""

    def __init__(self) -> None:
        self._sum: Reals | float = 0.0
        self._count = 0

    def add(self, amounts: Reals) -> None:
        self._sum = self._sum + amounts
        self._count += 1

    def mean(self, costs: Reals) -> float:
        return float(np.dot(self._sum, costs)) / self._count if self._count else 0.0
