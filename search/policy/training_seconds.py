"""Predicts the seconds that a step of a trial takes, corrected by what steps have taken. Pure."""

from collections import deque
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
BELIEVED_REPAIR = 0.05  # to fit a head to an example or to find its neighbours, once
# An evaluation of an evolution: to draw and place a head's weights, or those of adapters in every layer.
BELIEVED_EVALUATION = {"probe": 1.5, "lora": 60.0}
BELIEF = 0.01  # weight of one belief, in observations
EXTRAS = ("labels", "repair", "select")  # slots whose components compute something at every start
EVOLVE = "evolve"  # each time that an evolution moves the weights of such a student
COSTS: list[tuple[str, int | str]] = [
    *((student, place) for student in BELIEVED for place in range(4)),
    *((slot, kind) for slot in EXTRAS for kind in SLOTS[slot]),
    *((EVOLVE, student) for student in BELIEVED_EVALUATION),
]
COLUMN = {cost: column for column, cost in enumerate(COSTS)}


def _believed(kind: str, place: int | str) -> float:
    if isinstance(place, int):
        return BELIEVED[kind][place]
    if kind == EVOLVE:
        return BELIEVED_EVALUATION[place]
    return BELIEVED_REPAIR if kind == "repair" and place != "none" else 0.0


PRIOR = np.array([_believed(kind, place) for kind, place in COSTS])
# The costs of passes through the whole model; all others are overheads, such as those of a step or a probe.
PASSES = np.array([kind in ("full", "lora") and place in (0, 2) for kind, place in COSTS])
FAR = 3.0  # by which factor what was expected of a step may be off and still weigh
UNIT_OF = 128  # steps, the last ones: enough for a median
COMPUTED_S = 1.0  # what is shared was computed if it took so long; else it may have been read from a file


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

    def observe(self, step: Step, seconds: float, *, shared_s: float = 0.0) -> None:
        """Learn from a step that took so many seconds, above 0; shared_s: besides, see `Reached`."""
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
    the examples that it predicts. The costs minimise the squared error over the steps seen, each relative to
    what was expected of it (non-negative least squares, Lawson & Hanson 1974): so predictions are means, of
    which budgets are sums, where errors relative to what steps took would make them too low. A few beliefs
    count as steps. These have two units, of passes through the model and of overheads: each is the median of
    what the steps took that consist mostly of it, since small models and probes say nothing of a pass, and a
    pass nothing of a probe. The frozen features that a probe waits for are passes too. Before the first step
    predictions have the right proportions, but no unit.
    """

    def __init__(self, *, transfer: int, evaluated: int) -> None:
        """transfer, evaluated: examples that students train on, and that they predict at a rung."""
        self._transfer = transfer
        self._evaluated = evaluated
        self._costs = PRIOR
        self._fits = True  # whether the costs are those of all steps seen
        self._passes = _last()  # seconds over what is believed, of steps that are mostly passes
        self._overheads = _last()
        self._features = _last()  # seconds of a pass over an example, for features
        self._gram: Reals = np.zeros((len(COSTS), len(COSTS)))
        self._sum: Reals = np.zeros(len(COSTS))

    @property
    def costs(self) -> Reals:
        """Seconds of a unit of every cost, in the order of COSTS."""
        if not self._fits:
            self._fit()
        return self._costs

    def observe(self, step: Step, seconds: float, *, shared_s: float = 0.0) -> None:
        """Learn from a step that took so many seconds, above 0; shared_s: besides, see `Reached`."""
        amounts = self.amounts(step)
        believed = amounts * PRIOR
        mostly_passes = believed[PASSES].sum() > believed.sum() / 2
        (self._passes if mostly_passes else self._overheads).append(seconds / float(believed.sum()))
        if shared_s >= COMPUTED_S and step.method.student.kind == "probe":
            examples = (self._transfer + self._evaluated) * step.method.inputs.answered
            self._features.append(shared_s / examples)
        expected = float(amounts @ self.costs) if len(self._passes) + len(self._overheads) > 1 else seconds
        weight = np.clip(expected, seconds / FAR, seconds * FAR) ** -2
        self._gram += weight * np.outer(amounts, amounts)
        self._sum += weight * seconds * amounts
        self._fits = False

    def predict(self, steps: Sequence[Step]) -> Reals:
        """Seconds, float [n], of these steps."""
        costs = self.costs
        return np.array([self.amounts(step) @ costs for step in steps])

    def _fit(self) -> None:
        self._fits = True
        believed = np.where(PRIOR > 0, PRIOR, BELIEVED["full"][-1]) * self._units()
        gram = self._gram + np.diag(BELIEF / believed**2)
        target = self._sum + BELIEF * (PRIOR > 0) / believed
        factor = np.linalg.cholesky(gram)
        self._costs = optimize.nnls(factor.T, np.linalg.solve(factor, target))[0]

    def _units(self) -> Reals:
        """Seconds of a unit of each belief. What no step has shown is as that of the others."""
        shown = self._passes or self._features or self._overheads
        overhead = float(np.median(self._overheads or shown))
        return np.where(PASSES, float(np.median(shown)), overhead)

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
                amounts[COLUMN[EVOLVE, method.student.kind]] += evaluations
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


def _last() -> deque[float]:
    return deque(maxlen=UNIT_OF)


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
