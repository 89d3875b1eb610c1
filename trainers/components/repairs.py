"""Repair components: labels made better by what the frozen strong model knows.

A repair takes P(class 1) from the step before, w, as the weak supervisor's labels, and gives better ones; ŷ =
1[w > .5]. It never sees ground truth.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Component
from trainers.components.neighbours import nearest
from trainers.components.noisy_channel import fit_channel, refit_head
from trainers.components.probing import cross_fitted_probs
from trainers.components.weak_labels import Evidence, FloatArray, check_probabilities, harden, logit, sigmoid


class NoRepair(Component):
    """Leaves the labels as they are."""

    kind: Literal["none"] = "none"


class NoisyChannel(Component):
    """Posterior of the true class, weak labels being noisy readings of it and the strong model the prior."""

    kind: Literal["noisy_channel"] = "noisy_channel"
    prior: Annotated[
        Literal["zero_shot", "head"],
        Field(description="zero_shot: the strong model's answer; head: a cross-fitted probe on its features"),
    ] = "zero_shot"
    iterations: Annotated[int, Field(ge=1, le=200, description="steps of expectation-maximization")] = 20


class Neighbours(Component):
    """Labels mixed with their mean over nearest neighbours in frozen features, class-balanced."""

    kind: Literal["neighbours"] = "neighbours"
    k: Annotated[int, Field(ge=1, le=200, description="how many neighbours vote")] = 10
    share: Annotated[
        float, Field(ge=0.05, le=1, description="share of the neighbours' mean in the label")
    ] = 1.0


class Elicited(Component):
    """The strong model's own zero-shot answer, class-balanced, mixed with the labels."""

    kind: Literal["elicited"] = "elicited"
    strength: Annotated[float, Field(ge=0, le=1, description="share of the strong model's own answer")] = 0.5


Repair = NoRepair | NoisyChannel | Neighbours | Elicited


def no_repair(config: NoRepair, evidence: Evidence) -> FloatArray:
    """The labels of the step before."""
    return evidence.weak


def noisy_channel(config: NoisyChannel, evidence: Evidence) -> FloatArray:
    """P(y = 1 | x, ŷ) ∝ prior(x)·p(ŷ | y), the channel p(ŷ | y) fitted by expectation-maximization.

    The prior is `evidence.prior()` for zero_shot. For head it is a probe on the features, fitted on the other
    folds to w and then, each iteration, to the posterior (`trainers.components.noisy_channel.refit_head`).
    """
    if config.prior == "zero_shot":
        return fit_channel(_prior(evidence), harden(evidence.weak_probs), config.iterations).posterior
    features = evidence.features()
    return refit_head(
        lambda targets: cross_fitted_probs(features, targets, evidence.seed),
        evidence.weak,
        config.iterations,
    ).posterior


def neighbours(config: Neighbours, evidence: Evidence) -> FloatArray:
    """sigmoid(logit m - logit M), m = (1-share)·w + share·(mean of w over the k nearest others), M its mean.

    Nearest by cosine. What lies above the mean becomes class 1: a vote of neighbours follows the majority,
    and would enlarge the supervisor's preference for one class. m is clamped to [1e-6, 1-1e-6]; k is at most
    n - 1; a lone example keeps its w. Zhu & Ghahramani 2002, label propagation, one step; as a correction of
    noisy labels, Bahri et al. 2020, "Deep k-NN for Noisy Labels".
    """
    weak = evidence.weak
    if len(weak) == 1:
        return weak
    indices, _ = nearest(evidence.features(), config.k)
    mixed = (1 - config.share) * weak + config.share * weak[indices].mean(axis=1)
    return sigmoid(logit(mixed) - logit(mixed.mean()))


def elicited(config: Elicited, evidence: Evidence) -> FloatArray:
    """(1-s)·w + s·sigmoid(logit p - median of logit p), where p = `evidence.prior()` and s the strength.

    Subtracting the median makes half of the strong model's predictions class 1. `evidence.prior()` is already
    averaged over prompt templates and answer orders, consistent within pairs, and based on `task.question` if
    the config has it. Zhao et al. 2021, "Calibrate Before Use"; Burns et al. 2022, "Discovering Latent
    Knowledge" (consistency).
    """
    logits = logit(_prior(evidence))
    own = sigmoid(logits - np.median(logits))
    return (1 - config.strength) * evidence.weak + config.strength * own


def _prior(evidence: Evidence) -> NDArray[np.float64]:
    prior = np.asarray(evidence.prior(), dtype=np.float64)
    check_probabilities("evidence.prior()", prior)
    return prior


REPAIRS: dict[type[Component], Callable[[Any, Evidence], FloatArray]] = {
    NoRepair: no_repair,
    NoisyChannel: noisy_channel,
    Neighbours: neighbours,
    Elicited: elicited,
}
