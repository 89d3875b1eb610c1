"""Stage components: how a student's first labels come to it, and whether it teaches itself after that.

What else belongs to the sequence of a method's trainings is in trainers/components/staging.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Component
from trainers.components.selecting.plans import Plan
from trainers.components.selection import All, Confidence, plan
from trainers.components.staging.stage import Stage
from trainers.components.weak_labels import Evidence, harden

Floats = NDArray[np.float32]
Trainings = tuple[tuple[Stage, ...], tuple[Stage, ...]]  # those on given labels, those on own ones


class Once(Component):
    """One training on the weak labels."""

    kind: Literal["once"] = "once"


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


class Chain(Component):
    """Each model of a chain of growing ones is taught by the one before; the strong student comes last."""

    kind: Literal["chain"] = "chain"
    length: Annotated[int, Field(ge=1, le=4, description="intermediate models on the way")] = 1


Stages = Once | SelfTrain | Chain


@dataclass(frozen=True, kw_only=True)
class TrainingTargets:
    """What a training learns: targets P(class 1), float32 [n], and the plan of example weights over time.

    evidence: what its loss takes of what is known of the examples, float32 [n] each, by the signal's name.
    """

    targets: Floats
    plan: Plan
    evidence: Mapping[str, Floats] = field(default_factory=dict)


def once(config: Once, given: int) -> Trainings:
    """A single stage.

    As naive finetuning on weak labels, Burns et al. 2023.
    """
    return (Stage(),), ()


def self_train(config: SelfTrain, given: int) -> Trainings:
    """The student's predictions on the transfer split are the targets of the next round.

    Furlanello et al. 2018, "Born-Again Neural Networks" (soft, fresh); Lee 2013, "Pseudo-Label" (hard); Xie
    et al. 2020, "Self-training with Noisy Student" (confident).
    """
    own = Stage(teacher="self", continues=not config.fresh)
    return (Stage(),), (own,) * config.rounds


def chain(config: Chain, given: int) -> Trainings:
    """Bootstrapping through `length` of the given intermediate models, spread evenly.

    Burns et al. 2023, "Weak-to-Strong Generalization", section 4.3.1.
    """
    step = (given + 1) / (config.length + 1)
    chosen = [math.floor((i + 1) * step + 0.5) - 1 for i in range(config.length)]
    learners: list[int | None] = [*chosen, None]
    models = tuple(
        Stage(teacher="previous" if place else "weak", learner=learner)
        for place, learner in enumerate(learners)
    )
    return models, ()


STAGES: dict[type[Component], Callable[[Any, int], Trainings]] = {
    Once: once,
    SelfTrain: self_train,
    Chain: chain,
}


def stages_of(config: Stages, given: int) -> Trainings:
    """The trainings on given labels and those on a student's own, each in order.

    given: the number of intermediate models. Relabelling, if any, comes between the two.
    """
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
