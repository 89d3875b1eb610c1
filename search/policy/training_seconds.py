"""Predicts the seconds that a step of a trial takes, corrected by what steps have taken. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.policy.rungs import ROUNDING, steps_of_a_training
from search.scoring.pgr import Reals
from trainers.lazy import optimize
from trainers.method import SLOTS, Method

# What is believed before the first trial, in units of a forward pass over one example: to train an example
# (three, fewer where frozen weights need no gradient), an optimizer step, to predict an example, to start.
BELIEVED = {
    "full": (3.0, 2.0, 1.0, 50.0),
    "lora": (2.3, 2.0, 1.0, 50.0),
    "probe": (0.01, 1.0, 0.002, 50.0),
}
BELIEVED_REPAIR = 0.1  # to fit a head to an example or to find its neighbours, once
BELIEF = 0.01  # weight of one belief, in observations
EXTRAS = ("labels", "repair", "select")  # slots whose components compute something at every start
COSTS: list[tuple[str, int | str]] = [
    *((student, place) for student in BELIEVED for place in range(4)),
    *((slot, kind) for slot in EXTRAS for kind in SLOTS[slot]),
]
COLUMN = {cost: column for column, cost in enumerate(COSTS)}


def _believed(kind: str, place: int | str) -> float:
    if isinstance(place, int):
        return BELIEVED[kind][place]
    return BELIEVED_REPAIR if kind == "repair" and place != "none" else 0.0


PRIOR = np.array([_believed(kind, place) for kind, place in COSTS])
REFIT = 1.1  # growth of the number of observations after which the costs are fitted again


@dataclass(frozen=True, kw_only=True)
class Step:
    """A part of a trial's training. start, end: shares of the training; predictions follow at the end."""

    method: Method
    start: float
    end: float


class TrainingSeconds:
    """A sum of non-negative costs: per example trained, optimizer step, example predicted, and start.

    These four are a student's own; repairs, for each example and each head that they fit, and labels and
    selections add something to every start. The costs minimise the relative error over the steps seen
    (non-negative least squares, Lawson & Hanson 1974) and over a few beliefs, in a unit that is the median of
    what the steps took. Before the first step predictions have the right proportions, but no unit. costs:
    seconds each, in the order of COSTS.
    """

    def __init__(self, *, transfer: int, evaluated: int) -> None:
        """transfer, evaluated: examples that students train on, and that they predict at a rung."""
        self._transfer = transfer
        self._evaluated = evaluated
        self.costs = PRIOR
        self._units: list[float] = []  # seconds of each step over those believed
        self._gram: Reals = np.zeros((len(COSTS), len(COSTS)))
        self._sum: Reals = np.zeros(len(COSTS))
        self._fitted_on = 0

    def observe(self, step: Step, seconds: float) -> None:
        """Learn from a step that took so many seconds, above 0."""
        row = self.amounts(step) / seconds
        self._units.append(1 / float(row @ PRIOR))
        self._gram += np.outer(row, row)
        self._sum += row
        if len(self._units) >= REFIT * self._fitted_on:
            self._fit()

    def predict(self, steps: Sequence[Step]) -> Reals:
        """Seconds, float [n], of these steps."""
        return np.array([self.amounts(step) @ self.costs for step in steps])

    def _fit(self) -> None:
        self._fitted_on = len(self._units)
        unit = float(np.median(self._units))
        expected = np.where(PRIOR > 0, PRIOR, BELIEVED["full"][-1]) * unit
        gram = self._gram + np.diag(BELIEF / expected**2)
        target = self._sum + BELIEF * (PRIOR > 0) / expected
        factor = np.linalg.cholesky(gram)
        self.costs = optimize.nnls(factor.T, np.linalg.solve(factor, target))[0]

    def amounts(self, step: Step) -> Reals:
        """How much of every cost a step has, in the order of COSTS."""
        method = step.method
        share = (step.end - step.start) * method.optim.stop * method.stages.trainings
        optimizer_steps = share * steps_of_a_training(method, self._transfer)
        batch = min(method.optim.batch_size, method.select.kept * self._transfer * method.inputs.trained)
        predicted = self._evaluated + self._handed_on(step) * self._transfer
        predicted *= method.inputs.answered
        amounts = np.zeros(len(COSTS))
        first = COLUMN[method.student.kind, 0]
        amounts[first : first + 4] = (optimizer_steps * batch, optimizer_steps, predicted, 1.0)
        for repair in (method.repair, method.second_repair):
            amounts[COLUMN["repair", repair.kind]] = float(repair.passes) * self._transfer
        for slot in ("labels", "select"):
            amounts[COLUMN[slot, getattr(method, slot).kind]] = 1.0
        return amounts

    def _handed_on(self, step: Step) -> int:
        """How many trainings end in the step whose model then labels the transfer split."""
        method = step.method
        if method.stages.kind not in ("self_train", "chain"):
            return 0
        trainings, stop = method.stages.trainings, method.optim.stop
        start, end = (
            min(trainings - 1, int(at * stop * trainings + ROUNDING)) for at in (step.start, step.end)
        )
        return end - start
