"""A method's ladder: the rungs it is judged at, and what its training up to each consists of. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.policy.rungs import rungs_of
from search.policy.training_seconds import Step, TrainingSeconds
from search.scoring.pgr import Reals
from trainers.method import Method

KEPT = 8192  # ladders remembered: draws are compared again and again until one becomes a trial


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """places: the indices of the rungs. amounts: [rungs, costs], of the training from the start to each."""

    places: tuple[int, ...]
    amounts: Reals

    def after(self, place: int) -> int:
        """The next rung after the rung with this index; -1 for the first."""
        return next(rung for rung in self.places if rung > place)

    def seconds(self, costs: Reals, rungs: int, *, after: int = -1) -> Reals:
        """[rungs] the seconds from one rung to each later one, infinite where there is none.

        costs: of `TrainingSeconds`. rungs: how many there are for all methods. after: the index of the rung
        where the training is; -1 at its start.
        """
        seconds = np.full(rungs, np.inf)
        done = float(self.amounts[self.places.index(after)] @ costs) if after >= 0 else 0.0
        for place, amounts in zip(self.places, self.amounts, strict=True):
            if place > after:
                seconds[place] = float(amounts @ costs) - done
        return seconds


class Ladders:
    """Finds the ladder of a method."""

    def __init__(self, seconds: TrainingSeconds, rungs: Sequence[float], *, examples: int, min_steps: int):
        """rungs: rising shares of a training, the last one 1. The others are as for `rungs_of`."""
        self._seconds = seconds
        self._rungs = rungs
        self._examples = examples
        self._min_steps = min_steps
        self._known: dict[str, Ladder] = {}

    def of(self, method: Method) -> Ladder:
        """The ladder of a method."""
        if method.digest not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[method.digest] = self._make(method)
        return self._known[method.digest]

    def _make(self, method: Method) -> Ladder:
        places = rungs_of(method, self._rungs, examples=self._examples, min_steps=self._min_steps)
        shares = [self._rungs[place] for place in places]
        steps = [
            Step(method=method, start=start, end=end)
            for start, end in zip((0.0, *shares), shares, strict=False)
        ]
        amounts = np.cumsum([self._seconds.amounts(step) for step in steps], axis=0)
        return Ladder(places=places, amounts=amounts)
