"""The grader in a Ray actor of its own."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.config.schema import RunConfig
from search.policy.faults import FaultConfig
from search.scoring.grader import BaselinePredictions, BaselineScores, Grader, Score, TestGrades
from search.workers.preparation import Prepared
from trainers.data.examples import Labels

log = logging.getLogger(__name__)

RESTARTS = 3  # for one question, before the run ends
_LOST = (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError)


def new_grader(config: RunConfig, prepared: Prepared) -> "RemoteGrader":
    """The grader of a task, as its config has it."""
    return RemoteGrader(prepared.search, prepared.test, config.search.coarsen, config.faults.grader_limit_s)


class RemoteGrader:
    """A grader in a Ray actor of its own, restarted from the sealed labels if it dies or does not answer.

    It runs on the driver's node, so losing another node never loses the grader, and the labels never leave
    the driver's machine. The grader keeps no state, so a question asked twice has one answer.
    """

    def __init__(
        self,
        search: tuple[Labels, BaselinePredictions],
        test: tuple[Labels, BaselinePredictions],
        coarsen: float = 0.0,
        answer_s: float = FaultConfig().grader_limit_s,
    ) -> None:
        """answer_s: longest wait for an answer, the start of the process included."""
        self._sealed = search, test, coarsen
        self._answer_s = answer_s
        self._actor = self._start()

    def _start(self) -> Any:
        here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        return ray.remote(num_cpus=0, scheduling_strategy=here)(Grader).remote(*self._sealed)

    def baselines(self) -> BaselineScores:
        """See Grader.baselines."""
        scores: BaselineScores = self._ask("baselines")
        return scores

    def grade(self, predictions: str) -> Score:
        """See Grader.grade."""
        score: Score = self._ask("grade", predictions)
        return score

    def grade_many(self, predictions: Sequence[str]) -> list[Score]:
        """See Grader.grade_many."""
        scores: list[Score] = self._ask("grade_many", predictions)
        return scores

    def open_test(self, predictions: Mapping[str, Sequence[str]]) -> TestGrades:
        """See Grader.open_test."""
        grades: TestGrades = self._ask("open_test", predictions)
        return grades

    def _ask(self, question: str, *content: Any) -> Any:
        """The grader's answer, from as many graders as it takes.

        Raises RuntimeError if none of them answers.
        """
        for restarts in range(RESTARTS + 1):
            try:
                return ray.get(getattr(self._actor, question).remote(*content), timeout=self._answer_s)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except _LOST as error:
                why = self._why(error)
                ray.kill(self._actor)
            if restarts < RESTARTS:
                log.warning("%s: it is started again from the sealed labels", why)
                self._actor = self._start()
        raise RuntimeError(f"{why}, also after {RESTARTS} restarts; everything is saved, resume the run")

    def _why(self, error: Exception) -> str:
        if isinstance(error, ray.exceptions.GetTimeoutError):
            return f"the grader did not answer within faults.grader_limit_s ({self._answer_s:g} s)"
        return "the grader's process died"
