"""Predicted seconds with several tasks: each has costs of its own, as its texts and models. Pure."""

from collections.abc import Callable, Sequence

import numpy as np

from search.policy.training_seconds import Step, TrainingSeconds
from search.scoring.pgr import Reals
from trainers.method import Method

There = Callable[[Method], Method]


class SecondsByTask:
    """A `Prices` of the steps of several tasks: their costs one after another.

    What a step on one task took says what a second of belief is worth there; a task without steps so far is
    priced by the sizes of its data and the costs of the task with the most steps.
    """

    def __init__(self, tasks: Sequence[TrainingSeconds], there: Sequence[There]) -> None:
        """there: what a method is on each task (search.engine.compared.transfer)."""
        self._tasks = tasks
        self._there = there
        self._seen = [0] * len(tasks)

    @property
    def costs(self) -> Reals:
        """Of every task, in the order of the tasks."""
        known = self._tasks[int(np.argmax(self._seen))].costs
        parts = [task.costs if seen else known for task, seen in zip(self._tasks, self._seen, strict=True)]
        return np.concatenate(parts)

    def observe(self, step: Step, seconds: float, *, shared_s: float = 0.0) -> None:
        """Learn from a step that took so many seconds, above 0; shared_s: besides, see `Reached`."""
        self._seen[step.task] += 1
        self._tasks[step.task].observe(self._own(step), seconds, shared_s=shared_s)

    def predict(self, steps: Sequence[Step]) -> Reals:
        """Seconds, float [n], of these steps."""
        costs = self.costs
        return np.array([self.amounts(step) @ costs for step in steps])

    def amounts(self, step: Step) -> Reals:
        """How much of every cost a step has: of its own task's alone."""
        parts = [np.zeros(len(task.costs)) for task in self._tasks]
        parts[step.task] = self._tasks[step.task].amounts(self._own(step))
        return np.concatenate(parts)

    def _own(self, step: Step) -> Step:
        return Step(method=self._there[step.task](step.method), start=step.start, end=step.end)
