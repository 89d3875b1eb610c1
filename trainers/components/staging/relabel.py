"""Relabel components: how a trained student's predictions make the labels of another training.

w is the weak P(class 1) as the method's first step splits or scales it, ŷ = 1[w > .5], t the targets that all
its steps make, s the student's P(class 1) on the transfer split. Each round trains a new student on what the
one before has made of the labels. With several folds it is as many students, each of which predicts the part
that it has not learned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Component
from trainers.components.repairing.feature_channel import doubts, fit_feature_channel
from trainers.components.repairing.noisy_channel import clean_prior, fit_channel
from trainers.components.weak_labels import FloatArray, harden, highest, logit, sigmoid

ITERATIONS = 50  # of expectation-maximization, which settles in fewer
Answer = Annotated[Literal["soft", "hard"], Field(description="probabilities, or decisions")]


class NoRelabel(Component):
    """Trains on the labels that the first steps make, and leaves them as they are."""

    kind: Literal["none"] = "none"

    @property
    def rounds(self) -> int:
        """How many times labels are made anew."""
        return 0

    @property
    def folds(self) -> int:
        """How many students make the labels of a round."""
        return 1


class Posterior(Component):
    """Posterior of the true class: weak labels are noisy readings of it, the trained student is the prior."""

    kind: Literal["posterior"] = "posterior"
    rounds: Annotated[int, Field(ge=1, le=3, description="times that channel and labels are made anew")] = 2
    folds: Annotated[
        int,
        Field(ge=1, le=4, description="students of a round, each on the other folds; 1: one, on everything"),
    ] = 1
    temperature: Annotated[
        float, Field(ge=0.3, le=3, description="below 1 sharpens the posterior, above 1 flattens it")
    ] = 1.0
    stretched: Annotated[
        bool, Field(description="spread the student's answers over 0 to 1 first, their mean at one half")
    ] = False
    by: Annotated[
        Literal["nothing", "doubt"],
        Field(description="what the share of wrong labels depends on: how sure weak label and student are"),
    ] = "nothing"
    answer: Answer = "soft"


class OutOfFold(Component):
    """What students say of the part that they have not learned, with the share of class 1 that labels had."""

    kind: Literal["out_of_fold"] = "out_of_fold"
    rounds: Annotated[int, Field(ge=1, le=3, description="times that labels are made anew")] = 1
    folds: Annotated[int, Field(ge=2, le=4, description="students of a round, each on the other folds")] = 2
    answer: Answer = "hard"


Relabel = NoRelabel | Posterior | OutOfFold


@dataclass(frozen=True, kw_only=True)
class Known:
    """What labels are made anew from, each float [n]: w, t and s. w and t are the same in every round."""

    weak: FloatArray
    targets: FloatArray
    student: FloatArray


def relabelled(config: Relabel, known: Known) -> NDArray[np.float32]:
    """Return the next training's targets, float32 [n], P(class 1)."""
    return np.asarray(RELABELS[type(config)](config, known), dtype=np.float32)


def keep(config: NoRelabel, known: Known) -> FloatArray:
    """The targets t as they are.

    Naive finetuning on weak labels, Burns et al. 2023, has no such step.
    """
    return known.targets


def posterior(config: Posterior, known: Known) -> FloatArray:
    """q^(1/T) / (q^(1/T) + (1-q)^(1/T)), q = P(y = 1 | x, ŷ) ∝ s(x)·p(ŷ | y); or 1[that > .5].

    The channel p(ŷ | y) is fitted to ŷ by expectation-maximization with s as the prior
    (`repairing.noisy_channel.fit_channel`). Dawid & Skene 1979 with a classifier that is trained along with
    it: Raykar et al. 2010, "Learning From Crowds"; trained anew in rounds on the tempered posterior, the EM
    posterior of "Automated Weak-to-Strong Researcher" (2026). A student that has learned ŷ by heart vouches
    for it: the channel tends to the identity, and q to ŷ. Students of other folds have not seen it.
    Stretched, s is what `repairing.noisy_channel.clean_prior` makes of it, as for the head of the repair. By
    doubt, p(ŷ | y) depends on |logit w| and |logit s|, as in the repair channel_per_example.
    """
    prior = clean_prior(known.student) if config.stretched else known.student
    found = _channel_posterior(config, prior, known.weak)
    tempered = sigmoid(logit(found) / config.temperature)
    return harden(tempered).astype(np.float64) if config.answer == "hard" else tempered


def _channel_posterior(config: Posterior, prior: FloatArray, weak: FloatArray) -> FloatArray:
    if config.by == "doubt":
        about = doubts(weak, logit(prior))
        return fit_feature_channel(prior, harden(weak), about, ITERATIONS).posterior
    return fit_channel(prior, harden(weak), ITERATIONS).posterior


def out_of_fold(config: OutOfFold, known: Known) -> FloatArray:
    """1[s above its quantile z at 1 - r], or sigmoid(logit s - logit z); r: the mean of t.

    Labels that a fine-tuned student makes out of fold, in two folds: the fifth rung of "Automated Weak-to-
    Strong Researcher" (2026); what `repairs.crossfit` does with a probe. Out-of-fold probabilities: Northcutt
    et al. 2021, "Confident Learning".
    """
    rate, student = float(np.mean(known.targets)), np.asarray(known.student, dtype=np.float64)
    if config.answer == "hard":
        return highest(student, rate).astype(np.float64)
    return sigmoid(logit(student) - logit(np.array([np.quantile(student, 1 - rate)])))


RELABELS: dict[type[Component], Callable[[Any, Known], FloatArray]] = {
    NoRelabel: keep,
    Posterior: posterior,
    OutOfFold: out_of_fold,
}
