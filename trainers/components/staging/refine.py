"""Refine components: what is done to a trained student without gradients and without labels.

p is the student's P(class 1). Nothing here reads a label, but for the share of class 1 that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Component
from trainers.components.students import Full, Lora, Probe, StudentConfig

Reals = NDArray[np.float64]
LEAST = 1e-12  # distance of probabilities from 0 and 1 before taking logarithms


class NoRefine(Component):
    """Leaves the student as its training ends.

    Naive finetuning on weak labels, Burns et al. 2023, has no such step.
    """

    kind: Literal["none"] = "none"


class Evolve(Component):
    """Evolution strategy on head or adapters: towards answers that are sure, and even in class or order.

    Its fitness needs no labels. Students are probes, whose head it moves, or adapters.
    """

    kind: Literal["evolve"] = "evolve"
    steps: Annotated[int, Field(ge=1, le=200, description="steps of the strategy")] = 20
    pairs: Annotated[
        int, Field(ge=1, le=32, description="perturbations of a step, each tried in both directions")
    ] = 8
    sigma: Annotated[
        float,
        Field(ge=0.001, le=0.5, description="size of a perturbation, as a share of a weight's usual size"),
    ] = 0.05
    lr: Annotated[
        float, Field(ge=0.01, le=3, description="length of the first step, in perturbations; falls to zero")
    ] = 1.0
    examples: Annotated[
        int, Field(ge=16, le=1024, description="transfer examples on which a step compares perturbations")
    ] = 200
    rate: Annotated[
        Literal["half", "weak"],
        Field(description="share of class 1 that single texts are held to: one half, or that of the labels"),
    ] = "half"

    @property
    def evaluations(self) -> int:
        """How many times it predicts its examples."""
        return 2 * self.pairs * self.steps


Refine = NoRefine | Evolve


def information(probs: Reals, rate: float) -> float:
    """-(mean entropy of p) - KL(mean of p ‖ rate), in nats: sure answers in the wanted balance, at most 0.

    At a rate of ½ this is the mutual information of inputs and answers less ln 2: Bridle, Heading & MacKay
    1991, "Unsupervised Classifiers, Mutual Information and 'Phantom Targets'"; Krause, Perona & Gomes 2010,
    "Discriminative Clustering by Regularized Information Maximization" (other rates: section 4).
    """
    inside = np.clip(probs, LEAST, 1 - LEAST)
    mean = float(inside.mean())
    wanted = min(max(rate, LEAST), 1 - LEAST)
    entropy = -inside * np.log(inside) - (1 - inside) * np.log1p(-inside)
    divergence = mean * np.log(mean / wanted) + (1 - mean) * np.log((1 - mean) / (1 - wanted))
    return float(-entropy.mean() - divergence)


def agreement(probs: Reals, swapped: Reals) -> float:
    """Mean of (1 - |p - (1 - p')|)·|2m - 1|, in [0, 1]; p': of the swapped pair, m: mean of p and 1 - p'.

    Confident × order-consistent: the fitness of the first rung of "Automated Weak-to-Strong Researcher"
    (2026). An answer that does not look at its input is sure of both orders, and gets 0.
    """
    other = 1 - swapped
    return float(((1 - np.abs(probs - other)) * np.abs(probs + other - 1)).mean())


def fitness(probs: NDArray[np.floating], swapped: NDArray[np.floating] | None, rate: float) -> float:
    """How good these answers are without any label, higher is better.

    probs: float [n], P(class 1). swapped: float [n], of the same pairs with their answers exchanged, where
    both orders are at hand (`agreement`); None: `information` at this rate of class 1.
    """
    answers = np.asarray(probs, dtype=np.float64)
    if swapped is None:
        return information(answers, rate)
    return agreement(answers, np.asarray(swapped, dtype=np.float64))


def evolved_names(student: StudentConfig) -> tuple[str, ...]:
    """Parts of the names of the weights that an evolution strategy moves; none of a fully trained student.

    Of adapters the second matrix, B, alone, as published: a step in it is a step in the adapted weight.
    """
    match student:
        case Probe():
            return ("weight", "bias")
        case Lora():
            return ("lora_B", "head.")
        case Full():
            return ()


REFINES: dict[type[Component], Callable[[Any], int]] = {
    NoRefine: lambda config: 0,
    Evolve: lambda config: config.steps,
}
