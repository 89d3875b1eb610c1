"""The scores of trials that learn several tasks: of a task's predictions, and of those of all tasks.

Predictions of all tasks stand one after another, in the order of the tasks: together they are the predictions
of a trial, as those of a single task are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.findings.predictions import pack, unpack
from search.scoring.grader import Score, SearchGrader
from search.scoring.objective import Objective, aggregate, slopes, task_weights
from search.scoring.pgr import Bools, Reals

GradedSplit = Literal["search", "test"]


@dataclass(frozen=True, kw_only=True)
class TaskScale:
    """A task's grader, and what turns its accuracies into PGRs. examples, test: sizes of its splits."""

    grader: SearchGrader
    examples: int
    test: int
    weak_acc: float
    gap: float


class SeveralTasks:
    """Grades what trials predict on several tasks. Made of graders, it holds no labels itself.

    A `SearchGrader` of the predictions of all tasks.
    """

    def __init__(self, tasks: Mapping[str, TaskScale], objective: Objective) -> None:
        """tasks: by name, in the order of their predictions."""
        self._tasks = tasks
        self._objective: Objective = objective
        self._weights = list(
            task_weights({name: task.gap for name, task in tasks.items()}, objective).values()
        )
        self._sizes = [task.examples for task in tasks.values()]

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks, in their order."""
        return tuple(self._tasks)

    @property
    def examples(self) -> int:
        """Examples of all tasks."""
        return sum(self._sizes)

    def grade_on(self, task: str, predictions: str) -> Score:
        """The score of the packed predictions of one task, its PGR on that task."""
        return self._tasks[task].grader.grade(predictions)

    def joined(self, predictions: Mapping[str, str], split: GradedSplit) -> str:
        """The packed predictions of all tasks, from those of each."""
        sizes = [task.test if split == "test" else task.examples for task in self._tasks.values()]
        return joined([predictions[name] for name in self._tasks], sizes)

    def grade(self, predictions: str) -> Score:
        """The score of the packed predictions of all tasks."""
        return self.grade_many([predictions])[0]

    def grade_many(self, predictions: Sequence[str]) -> list[Score]:
        """The scores of several trials' predictions of all tasks, in their order."""
        apart = [split(packed, self._sizes) for packed in predictions]
        by_task = [
            task.grader.grade_many([parts[place] for parts in apart])
            for place, task in enumerate(self._tasks.values())
        ]
        return [self._over_tasks(scores) for scores in zip(*by_task, strict=True)]

    def _over_tasks(self, scores: Sequence[Score]) -> Score:
        """PGR by the objective; its error by the delta method, tasks being independent."""
        pgrs = self._weighted([score.pgr for score in scores])
        by_task = zip(self._slopes(pgrs), scores, strict=True)
        return Score(
            accuracy=float(np.mean([score.accuracy for score in scores])),
            pgr=aggregate(pgrs, self._objective),
            se=math.sqrt(sum((slope * score.se) ** 2 for slope, score in by_task)),
            correct=joined([score.correct for score in scores], self._sizes),
        )

    def _weighted(self, pgrs: Sequence[float]) -> list[float]:
        return [weight * pgr for weight, pgr in zip(self._weights, pgrs, strict=True)]

    def _slopes(self, weighted: Sequence[float]) -> list[float]:
        """By how much the score grows with the PGR on each task."""
        of_parts = slopes(weighted, self._objective)
        return [weight * slope for weight, slope in zip(self._weights, of_parts, strict=True)]

    def evidence(self, correct: str) -> Reals:
        """[n] what each example says of the score: their mean is the score, in PGR.

        The differences of two trials, example by example, are those of a paired comparison. An example of a
        task counts by the task's slope, gap and size.
        """
        parts = _apart(unpack(correct, self.examples), self._sizes)
        found = [
            (task, part.astype(np.float64)) for task, part in zip(self._tasks.values(), parts, strict=True)
        ]
        pgrs = self._weighted([(float(part.mean()) - task.weak_acc) / task.gap for task, part in found])
        score = aggregate(pgrs, self._objective)
        return np.concatenate(
            [
                score + slope * self.examples / task.examples * (part - part.mean()) / task.gap
                for slope, (task, part) in zip(self._slopes(pgrs), found, strict=True)
            ]
        )


def joined(packed: Sequence[str], sizes: Sequence[int]) -> str:
    """Packed bits of several tasks as those of one. sizes: bits of each."""
    return pack(np.concatenate([unpack(one, size) for one, size in zip(packed, sizes, strict=True)]))


def split(packed: str, sizes: Sequence[int]) -> list[str]:
    """The inverse of `joined`."""
    return [pack(part) for part in _apart(unpack(packed, sum(sizes)), sizes)]


def _apart(bits: Bools, sizes: Sequence[int]) -> list[Bools]:
    return np.split(bits, np.cumsum(sizes)[:-1])
