"""Input components: the orders in which the responses of a pair are shown, in training and for an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from trainers.component import Component
from trainers.components.formulas.evidence import MIRRORED
from trainers.components.selecting.plans import Plan
from trainers.components.stages import TrainingTargets

Answer = Literal["as_shown", "averaged"]


class _Orders(Component):
    answer: Annotated[
        Answer, Field(description="as_shown, or averaged: half the difference of both orders' logits")
    ] = "as_shown"

    @property
    def trained(self) -> int:
        """The orders in which an epoch passes over every kept example."""
        return 1

    @property
    def answered(self) -> int:
        """The orders in which every example is predicted."""
        return 2 if self.answer == "averaged" else 1


class PlainInputs(_Orders):
    """Trains on every example as it is shown; averaged answers need pairs."""

    kind: Literal["plain"] = "plain"


class BothOrders(_Orders):
    """Trains on every pair in both orders, with mirrored targets; an epoch is twice as long."""

    kind: Literal["both_orders"] = "both_orders"
    answer: Annotated[
        Answer, Field(description="as_shown, or averaged: half the difference of both orders' logits")
    ] = "averaged"

    @property
    def trained(self) -> int:
        """The orders in which an epoch passes over every kept example."""
        return 2


InputOrders = PlainInputs | BothOrders


def as_shown(config: PlainInputs, learned: TrainingTargets) -> TrainingTargets:
    """The targets and weights as they are.

    As naive finetuning on weak labels, Burns et al. 2023.
    """
    return learned


def both_orders(config: BothOrders, learned: TrainingTargets) -> TrainingTargets:
    """The targets t of n pairs, then 1 - t of the same pairs with their responses exchanged: 2·n examples.

    Both carry the pair's weight, and what is known of it, P(class 1) as 1 - P where it is exchanged. So a
    preference for a position cannot lower the loss. The training on both orders of the published
    weak-to-strong methods for chat ("Automated Weak-to-Strong Researcher", 2026); against position bias: Wang
    et al. 2023, "Large Language Models are not Fair Evaluators".
    """
    phases = (replace(phase, weights=np.tile(phase.weights, 2)) for phase in learned.plan.phases)
    return TrainingTargets(
        targets=np.concatenate([learned.targets, 1 - learned.targets]),
        plan=Plan(phases=tuple(phases), keep_share=learned.plan.keep_share),
        evidence={
            name: np.concatenate([values, 1 - values if name in MIRRORED else values])
            for name, values in learned.evidence.items()
        },
    )


INPUTS: dict[type[Component], Callable[[Any, TrainingTargets], TrainingTargets]] = {
    PlainInputs: as_shown,
    BothOrders: both_orders,
}


def in_orders(config: InputOrders, learned: TrainingTargets) -> TrainingTargets:
    """What a training learns, in the orders that its inputs have."""
    return INPUTS[type(config)](config, learned)
