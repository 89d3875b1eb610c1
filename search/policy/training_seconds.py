"""Predicts the seconds that a step of a trial takes, corrected by what steps have taken. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from search.policy.rungs import kept_share, steps_of_a_training
from search.scoring.pgr import Reals
from trainers.components.staging.refine import Evolve
from trainers.components.staging.sequence import ROUNDING, place_of, total_length
from trainers.components.staging.stage import Stage
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
EVOLVE = ("refine", "evolve")  # each time that an evolution moves the weights
COSTS: list[tuple[str, int | str]] = [
    *((student, place) for student in BELIEVED for place in range(4)),
    *((slot, kind) for slot in EXTRAS for kind in SLOTS[slot]),
    EVOLVE,
]
COLUMN = {cost: column for column, cost in enumerate(COSTS)}


def _believed(kind: str, place: int | str) -> float:
    if isinstance(place, int):
        return BELIEVED[kind][place]
    if (kind, place) == EVOLVE:
        return 1.0  # like an optimizer step of a probe
    return BELIEVED_REPAIR if kind == "repair" and place != "none" else 0.0


PRIOR = np.array([_believed(kind, place) for kind, place in COSTS])
REFIT = 1.1  # growth of the number of observations after which the costs are fitted again


@dataclass(frozen=True, kw_only=True)
class Step:
    """A part of a trial's training. start, end: shares of the training; predictions follow at the end.

    task: of several, the place of the one that it trains on.
    """

    method: Method
    start: float
    end: float
    task: int = 0


class Prices(Protocol):
    """Predicts the seconds of steps, and learns from what they take: of one task, or of several."""

    @property
    def costs(self) -> Reals:
        """Seconds of a unit of every cost."""
        ...

    def observe(self, step: Step, seconds: float) -> None:
        """Learn from a step that took so many seconds, above 0."""
        ...

    def predict(self, steps: Sequence[Step]) -> Reals:
        """Seconds, float [n], of these steps."""
        ...

    def amounts(self, step: Step) -> Reals:
        """How much of every cost a step has."""
        ...


class TrainingSeconds:
    """A sum of non-negative costs: per example trained, optimizer step, example predicted, and start.

    These four are a student's own; repairs, for each example and each head that they fit, and labels and
    selections add something to every start, and an evolution something to each of its evaluations, besides
    the examples that it predicts. The costs minimise the relative error over the steps seen (non-negative
    least squares, Lawson & Hanson 1974) and over a few beliefs, in a unit that is the median of what the
    steps took. Before the first step predictions have the right proportions, but no unit. costs: seconds
    each, in the order of COSTS.
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
        amounts = np.zeros(len(COSTS))
        own = amounts[COLUMN[method.student.kind, 0] :]
        own[2:4] = self._evaluated * method.inputs.answered, 1.0
        for repair in (method.repair, method.second_repair):
            amounts[COLUMN["repair", repair.kind]] = float(repair.passes) * self._transfer
        for slot in ("labels", "select"):
            amounts[COLUMN[slot, getattr(method, slot).kind]] = 1.0
        for stage, after, part, ends in _parts(step):
            if stage.evolves and isinstance(method.refine, Evolve):
                evaluations = part * method.refine.evaluations
                amounts[COLUMN[EVOLVE]] += evaluations
                own[2] += evaluations * min(method.refine.examples, self._transfer)
                continue
            steps = part * steps_of_a_training(method, self._transfer, stage)
            kept = kept_share(method, stage) * self._transfer * method.inputs.trained
            own[:2] += steps * min(method.optim.batch_size, kept), steps
            if ends and after:
                own[2] += self._handed_on(stage, after) * method.inputs.answered
        return amounts

    def _handed_on(self, stage: Stage, after: Stage) -> float:
        """How many transfer examples a finished model labels for what comes after."""
        if stage.fold is not None:
            return self._transfer / stage.fold.of
        return self._transfer * (after.teacher != "weak")


def _parts(step: Step) -> Iterator[tuple[Stage, Stage | None, float, bool]]:
    """The stages that a step trains, each with the next, the share trained, and whether the step ends it.

    A model hands on its answers once the next stage begins, in the step that trains to its end.
    """
    stages = step.method.sequence()
    whole = step.method.optim.stop * total_length(stages)
    (first, done), (last, part) = (place_of(stages, share * whole) for share in (step.start, step.end))
    for place in range(first, last + 1):
        from_share = done if place == first else 0.0
        to_share = part if place == last else 1.0
        after = stages[place + 1] if place + 1 < len(stages) else None
        yield stages[place], after, to_share - from_share, from_share < 1 - ROUNDING <= to_share
