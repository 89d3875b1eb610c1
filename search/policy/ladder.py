"""A method's ladder: the places it is judged at, and what its training up to each consists of. Pure.

A place is a rung on one task. With one task a place is the index of a rung. With several, a trial trains to a
rung on one task after another, then to the next rung, in an order that begins with its first task: place
`rung * tasks + nth` is a rung on the nth task of that order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from search.policy.rungs import rungs_of
from search.policy.training_seconds import Prices, Step
from search.scoring.pgr import Reals
from trainers.method import Method

KEPT = 8192  # ladders remembered: draws are compared again and again until one becomes a trial


@dataclass(frozen=True)
class Places:
    """The places of a search. rungs: rising shares of a training. tasks: names, in their order."""

    rungs: Sequence[float]
    tasks: tuple[str, ...]

    def __len__(self) -> int:
        """The number of tasks, and of places at each rung."""
        return len(self.tasks)

    def index(self, task: str) -> int:
        """The place of a task among the tasks."""
        return self.tasks.index(task)

    def of(self, share: float, task: str, first: str) -> int:
        """The place of a rung on a task, for a trial that began with the task `first`."""
        nth = (self.index(task) - self.index(first)) % len(self)
        return self.rungs.index(share) * len(self) + nth

    def at(self, place: int, first: str) -> tuple[float, str]:
        """The share and the task of a place, the inverse of `of`."""
        rung, nth = divmod(place, len(self))
        return self.rungs[rung], self.tasks[(self.index(first) + nth) % len(self)]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """places: of the rungs and tasks. amounts: [places, costs], of the training from the start to each."""

    places: tuple[int, ...]
    amounts: Reals
    tasks: int = 1

    def after(self, place: int) -> int:
        """The next place after one; -1 for the first."""
        return next(later for later in self.places if later > place)

    def seconds(self, costs: Reals, rungs: int, *, after: int = -1) -> Reals:
        """[rungs] the seconds from one place to each later rung, on all tasks; infinite where there is none.

        costs: of `Prices`. rungs: how many there are for all methods. after: the place where the training is;
        -1 at its start.
        """
        seconds = np.full(rungs, np.inf)
        done = self._until(after, costs)
        for place, amounts in zip(self.places, self.amounts, strict=True):
            rung, nth = divmod(place, self.tasks)
            if place > after and nth == self.tasks - 1:
                seconds[rung] = float(amounts @ costs) - done
        return seconds

    def next_s(self, costs: Reals, after: int) -> float:
        """The seconds from one place to the next."""
        return self._until(self.after(after), costs) - self._until(after, costs)

    def _until(self, place: int, costs: Reals) -> float:
        return float(self.amounts[self.places.index(place)] @ costs) if place >= 0 else 0.0


class Ladders:
    """Finds the ladder of a method. places: that ladders go by."""

    def __init__(
        self,
        seconds: Prices,
        places: Places,
        *,
        examples: Sequence[int],
        min_steps: int,
        there: Sequence[Callable[[Method], Method]] = (),
    ) -> None:
        """places: of rungs, the last one 1, on tasks.

        examples: in the transfer split of each task. there: what a method is on each task; itself if nothing
        is given. min_steps: as for `rungs_of`.
        """
        self._seconds = seconds
        self.places = places
        self._examples = examples
        self._min_steps = min_steps
        self._there = there
        self._known: dict[tuple[str, str], Ladder] = {}

    def of(self, method: Method, first: str = "") -> Ladder:
        """The ladder of a method. first: the task that it begins with, empty for the only one."""
        key = method.digest, first
        if key not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[key] = self._make(method, first)
        return self._known[key]

    def _make(self, method: Method, first: str) -> Ladder:
        tasks, begins = len(self.places), self.places.index(first)
        places, steps, start = list[int](), list[Step](), 0.0
        for rung in self._rungs_of(method):
            for nth in range(tasks):
                places.append(rung * tasks + nth)
                end = self.places.rungs[rung]
                steps.append(Step(method=method, start=start, end=end, task=(begins + nth) % tasks))
            start = self.places.rungs[rung]
        amounts = np.cumsum([self._seconds.amounts(step) for step in steps], axis=0)
        return Ladder(places=tuple(places), amounts=amounts, tasks=tasks)

    def _rungs_of(self, method: Method) -> list[int]:
        """The rungs that are rungs on every task: the last one always is."""
        there = self._there or [lambda method: method] * len(self._examples)
        found = [
            set(rungs_of(on_task(method), self.places.rungs, examples=examples, min_steps=self._min_steps))
            for on_task, examples in zip(there, self._examples, strict=True)
        ]
        return sorted(set.intersection(*found))
