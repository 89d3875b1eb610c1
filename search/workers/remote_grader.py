"""The grader in a Ray actor of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.scoring.grader import BaselinePredictions, BaselineScores, Grader, Score, TestGrades
from trainers.data.examples import Labels


class RemoteGrader:
    """A grader in a Ray actor of its own, which Ray restarts if its process dies.

    It runs on the driver's node, so losing another node never loses the grader, and the labels never leave
    the driver's machine.
    """

    def __init__(
        self,
        search: tuple[Labels, BaselinePredictions],
        test: tuple[Labels, BaselinePredictions],
        coarsen: float = 0.0,
    ) -> None:
        here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(Grader)
        self._actor: Any = actor.remote(search, test, coarsen)

    def baselines(self) -> BaselineScores:
        """See Grader.baselines."""
        scores: BaselineScores = self._get(self._actor.baselines.remote())
        return scores

    def grade(self, predictions: str) -> Score:
        """See Grader.grade."""
        score: Score = self._get(self._actor.grade.remote(predictions))
        return score

    def grade_many(self, predictions: Sequence[str]) -> list[Score]:
        """See Grader.grade_many."""
        scores: list[Score] = self._get(self._actor.grade_many.remote(predictions))
        return scores

    def open_test(self, predictions: Mapping[str, Sequence[str]]) -> TestGrades:
        """See Grader.open_test."""
        grades: TestGrades = self._get(self._actor.open_test.remote(predictions))
        return grades

    @staticmethod
    def _get(reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
