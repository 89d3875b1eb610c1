"""Stage components: the trainings of a method, the model of each, and what it learns from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from trainers.component import Component
from trainers.components.selecting.plans import Plan
from trainers.components.selection import All, Confidence, plan
from trainers.components.weak_labels import Evidence, harden
from trainers.lazy import special

Floats = NDArray[np.float32]
Teacher = Literal["weak", "previous", "self"]


class Once(Component):
    """One training on the weak labels."""

    kind: Literal["once"] = "once"

    @property
    def trainings(self) -> int:
        """How many trainings the method consists of."""
        return 1


class SelfTrain(Component):
    """After the training on weak labels, further rounds on the student's own predictions."""

    kind: Literal["self_train"] = "self_train"
    rounds: Annotated[int, Field(ge=1, le=5, description="trainings on own predictions")] = 1
    targets: Annotated[
        Literal["soft", "hard", "confident"],
        Field(description="own probabilities, decisions, or decisions on the surest share only"),
    ] = "soft"
    share: Annotated[float, Field(ge=0.05, le=1, description="surest share kept by targets confident")] = 0.5
    fresh: Annotated[bool, Field(description="each round begins from the pretrained weights")] = True

    @property
    def trainings(self) -> int:
        """How many trainings the method consists of."""
        return self.rounds + 1


class Chain(Component):
    """Each model of a chain of growing ones is taught by the one before; the strong student comes last."""

    kind: Literal["chain"] = "chain"
    length: Annotated[int, Field(ge=1, le=4, description="intermediate models on the way")] = 1

    @property
    def trainings(self) -> int:
        """How many trainings the method consists of."""
        return self.length + 1


class Ensemble(Component):
    """Several students that differ by seed; their averaged logits answer."""

    kind: Literal["ensemble"] = "ensemble"
    members: Annotated[int, Field(ge=2, le=8, description="students trained")] = 3
    average: Annotated[
        Literal["mean", "trimmed"], Field(description="trimmed: without the highest and the lowest")
    ] = "mean"

    @property
    def trainings(self) -> int:
        """How many trainings the method consists of."""
        return self.members

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.average == "trimmed" and self.members < 3:
            raise ValueError(f"a trimmed average needs members of at least 3, got {self.members}: use mean")
        return self


Stages = Once | SelfTrain | Chain | Ensemble
DueRungs = dict[float, list[float]]  # shares of a stage -> rungs of the whole method due there


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A training of a method.

    teacher: whose predictions are learned: the weak supervisor's (`weak`), or those of the model before, as
    weak labels (`previous`) or as targets (`self`). learner: index of an intermediate model, None for the
    strong student. continues: whether it starts from the weights of the model before. member: index in an
    ensemble, whose members differ by seed.
    """

    teacher: Teacher = "weak"
    learner: int | None = None
    continues: bool = False
    member: int = 0


@dataclass(frozen=True, kw_only=True)
class TrainingTargets:
    """What a training learns: targets P(class 1), float32 [n], and the plan of example weights over time."""

    targets: Floats
    plan: Plan


def once(config: Once, given: int) -> tuple[Stage, ...]:
    """A single stage."""
    return (Stage(),)


def self_train(config: SelfTrain, given: int) -> tuple[Stage, ...]:
    """The student's predictions on the transfer split are the targets of the next round.

    Furlanello et al. 2018, "Born-Again Neural Networks" (soft, fresh); Lee 2013, "Pseudo-Label" (hard); Xie
    et al. 2020, "Self-training with Noisy Student" (confident).
    """
    own = Stage(teacher="self", continues=not config.fresh)
    return (Stage(), *[own] * config.rounds)


def chain(config: Chain, given: int) -> tuple[Stage, ...]:
    """Bootstrapping through `length` of the given intermediate models, spread evenly.

    Burns et al. 2023, "Weak-to-Strong Generalization", section 4.3.1.
    """
    step = (given + 1) / (config.length + 1)
    chosen = [math.floor((i + 1) * step + 0.5) - 1 for i in range(config.length)]
    learners: list[int | None] = [*chosen, None]
    return tuple(
        Stage(teacher="previous" if place else "weak", learner=learner)
        for place, learner in enumerate(learners)
    )


def ensemble(config: Ensemble, given: int) -> tuple[Stage, ...]:
    """Deep ensembles: Lakshminarayanan et al. 2017. The first member is what `once` would train."""
    return tuple(Stage(member=member) for member in range(config.members))


STAGES: dict[type[Component], Callable[[Any, int], tuple[Stage, ...]]] = {
    Once: once,
    SelfTrain: self_train,
    Chain: chain,
    Ensemble: ensemble,
}


def stages_of(config: Stages, given: int) -> tuple[Stage, ...]:
    """The trainings of a method, in order. given: the number of intermediate models."""
    return STAGES[type(config)](config, given)


def own_targets(config: SelfTrain, evidence: Evidence) -> TrainingTargets:
    """The training targets from a student's own predictions, given as `evidence.weak_probs`.

    A tie, .5, is class 0. The surest examples have the largest |p - .5|.
    """
    own = np.asarray(evidence.weak_probs, dtype=np.float32)
    targets = own if config.targets == "soft" else harden(own).astype(np.float32)
    chosen = Confidence(share=config.share) if config.targets == "confident" else All()
    return TrainingTargets(targets=targets, plan=plan(chosen, evidence, targets))


def taught_by(evidence: Evidence, predictions: Floats) -> Evidence:
    """The evidence with a model's P(class 1) in place of the weak supervisor's."""
    return evidence.with_probs(predictions)


def combined_probs(config: Stages, logits: Sequence[Floats]) -> Floats:
    """P(class 1), float32 [n], from the logits of the models trained so far, the current model last.

    An ensemble averages the logits; a trimmed average leaves out the highest and the lowest if there are at
    least three. All other methods use the current model alone.
    """
    chosen = np.stack(logits if isinstance(config, Ensemble) else logits[-1:]).astype(np.float64)
    if isinstance(config, Ensemble) and config.average == "trimmed" and len(chosen) > 2:
        chosen = np.sort(chosen, axis=0)[1:-1]
    return np.asarray(special.expit(chosen.mean(axis=0)), dtype=np.float32)


def due_rungs(steps: Sequence[int], rungs: Sequence[float], stop: float = 1.0) -> list[DueRungs]:
    """For each stage, the rising shares at which it stops, with the rungs due there.

    steps: optimizer steps of each stage. stop: the share of all steps that the method trains. rungs: rising
    shares of these; a rung falls on the first step at which its share is done. Every stage stops at its end,
    1, even if no rung is due. With fewer steps than rungs, several rungs are due at once.
    """
    ends = np.cumsum(steps)
    found: list[DueRungs] = [{} for _ in steps]
    for rung in rungs:
        step = min(int(ends[-1]), max(1, math.ceil(rung * stop * int(ends[-1]) - 1e-9)))
        stage = int(np.searchsorted(ends, step))
        own = step - int(ends[stage]) + steps[stage]
        # Half a step less, so that rounding up gives exactly this step.
        share = 1.0 if own == steps[stage] else (own - 0.5) / steps[stage]
        found[stage].setdefault(share, []).append(rung)
    return [due | ({} if 1.0 in due else {1.0: []}) for due in found]
