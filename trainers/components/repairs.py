"""Repair components: labels made better by what the frozen strong model knows.

A repair takes P(class 1) from the step before, w, as the weak supervisor's labels, and gives better ones; ŷ =
1[w > .5]. It never sees ground truth.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from trainers.component import Component
from trainers.components.formulas.labels import RepairFormula, label_formula
from trainers.components.neighbours import nearest_of
from trainers.components.probing import CrossFittedProbe
from trainers.components.repairing.consistency import with_sign
from trainers.components.repairing.noisy_channel import classify_and_refit, fit_channel, refit_head
from trainers.components.repairing.per_example import ChannelPerExample, channel_per_example
from trainers.components.repairing.propagation import propagated
from trainers.components.repairing.relabelling import along_mean_difference, cross_fit
from trainers.components.weak_labels import (
    Evidence,
    FloatArray,
    harden,
    highest,
    logit,
    sigmoid,
)
from trainers.seeds import derived_seed


class _Repair(Component):
    @property
    def passes(self) -> int:
        """How many times it does what its cost is counted by."""
        return 1


class NoRepair(_Repair):
    """Leaves the labels as they are."""

    kind: Literal["none"] = "none"


class NoisyChannel(_Repair):
    """Posterior of the true class, weak labels being noisy readings of it and the strong model the prior."""

    kind: Literal["noisy_channel"] = "noisy_channel"
    prior: Annotated[
        Literal["zero_shot", "head"],
        Field(description="zero_shot: the strong model's answer; head: a cross-fitted probe on its features"),
    ] = "zero_shot"
    iterations: Annotated[int, Field(ge=1, le=200, description="steps of expectation-maximization")] = 20

    @property
    def passes(self) -> int:
        """The heads that it fits one after another, 1 if it fits none."""
        return self.iterations if self.prior == "head" else 1


class Neighbours(_Repair):
    """Labels mixed with their mean over nearest neighbours in frozen features, class-balanced."""

    kind: Literal["neighbours"] = "neighbours"
    k: Annotated[int, Field(ge=1, le=200, description="how many neighbours vote")] = 10
    share: Annotated[
        float, Field(ge=0.05, le=1, description="share of the neighbours' mean in the label")
    ] = 1.0


class Propagate(_Repair):
    """Labels spread over a graph of nearest neighbours until each agrees with what reaches it.

    The share of class 1 stays: a median split before it makes the classes even.
    """

    kind: Literal["propagate"] = "propagate"
    k: Annotated[int, Field(ge=1, le=200, description="neighbours of an example in the graph")] = 15
    alpha: Annotated[
        float,
        Field(ge=0.8, le=0.99, description="how far labels spread; the rest is an example's own label"),
    ] = 0.95
    answer: Annotated[
        Literal["hard", "soft"], Field(description="decisions, or probabilities around the same threshold")
    ] = "hard"


class CrossFit(_Repair):
    """Hard labels made anew by a probe on the other folds, several times over.

    The share of class 1 stays: a median split before it makes the classes even.
    """

    kind: Literal["crossfit"] = "crossfit"
    rounds: Annotated[int, Field(ge=1, le=10, description="times that labels are made anew")] = 5

    @property
    def passes(self) -> int:
        """The heads that it fits one after another."""
        return self.rounds


class EmHead(_Repair):
    """Posterior of the true class under a probe and the supervisor's confusions, fitted in turn.

    The share of class 1 stays: a median split before it makes the classes even.
    """

    kind: Literal["em_head"] = "em_head"
    iterations: Annotated[int, Field(ge=1, le=50, description="times that the probe is fitted anew")] = 10

    @property
    def passes(self) -> int:
        """The heads that it fits one after another."""
        return self.iterations


class MeanDifference(_Repair):
    """Hard labels by the side of each example along the difference of the classes' mean features.

    The share of class 1 stays: a median split before it makes the classes even.
    """

    kind: Literal["mean_difference"] = "mean_difference"


class Elicited(_Repair):
    """The strong model's own zero-shot answer, class-balanced, mixed with the labels."""

    kind: Literal["elicited"] = "elicited"
    strength: Annotated[float, Field(ge=0, le=1, description="share of the strong model's own answer")] = 0.5


class Consistency(_Repair):
    """Labels mixed with a probe that was fitted without labels to answers that contradict each other (CCS).

    These are a pair in both orders, or a text with either zero-shot answer.
    """

    kind: Literal["consistency"] = "consistency"
    strength: Annotated[float, Field(ge=0.05, le=1, description="share of the probe in the labels")] = 1.0


Repair = (
    NoRepair
    | NoisyChannel
    | Neighbours
    | Propagate
    | CrossFit
    | EmHead
    | MeanDifference
    | Elicited
    | RepairFormula
    | Consistency
    | ChannelPerExample
)


def no_repair(config: NoRepair, evidence: Evidence) -> FloatArray:
    """The labels of the step before.

    Naive finetuning on weak labels, Burns et al. 2023, has no such step.
    """
    return evidence.weak


def noisy_channel(config: NoisyChannel, evidence: Evidence) -> FloatArray:
    """P(y = 1 | x, ŷ) ∝ prior(x)·p(ŷ | y), the channel p(ŷ | y) fitted by expectation-maximization.

    The prior is `evidence.prior()` for zero_shot. For head it is a probe on the features, fitted on the other
    folds to w and then, each iteration, to the posterior (`repairing.noisy_channel.refit_head`). Dawid &
    Skene 1979; with a model as the prior, Bekker & Goldberger 2016, "Training Deep Neural-Networks Based on
    Unreliable Labels"; with a classifier that is fitted along with it, Raykar et al. 2010, "Learning From
    Crowds"; stretching the probe, Patrini et al. 2017, section 4.
    """
    if config.prior == "zero_shot":
        return fit_channel(evidence.checked_prior(), harden(evidence.weak_probs), config.iterations).posterior
    probe = CrossFittedProbe(evidence.features())
    return refit_head(
        lambda targets: probe.probs(targets, evidence.seed), evidence.weak, config.iterations
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
    indices, _ = nearest_of(evidence, config.k)
    mixed = (1 - config.share) * weak + config.share * weak[indices].mean(axis=1)
    return sigmoid(logit(mixed) - logit(mixed.mean()))


def propagate(config: Propagate, evidence: Evidence) -> FloatArray:
    """1[p above its quantile t at 1 - r] or sigmoid(logit p - logit t), p the share of class 1 that arrives.

    p = ½ + (I - αS)^-1·(w - ½) / (I - αS)^-1·1 on the symmetric graph S of k nearest neighbours by cosine
    (`repairing.propagation`); r: the mean of w. With w hard and t = ½ these are the labels of Zhou et al.
    2004, "Learning with Local and Global Consistency". t keeps the share of class 1, since a class that
    prevails spreads over the other: class mass normalisation, Zhu et al. 2003.
    """
    weak = evidence.weak
    arrived = propagated(nearest_of(evidence, config.k), weak, config.alpha)
    rate = float(weak.mean())
    return highest(arrived, rate).astype(np.float64) if config.answer == "hard" else _around(arrived, rate)


def crossfit(config: CrossFit, evidence: Evidence) -> FloatArray:
    """Each round 1[out-of-fold p(x) above its quantile 1 - r], r the mean of w; see `repairing.relabelling`.

    The probe of the first round is fitted to w; every round draws folds of its own. Out-of-fold
    probabilities: Northcutt et al. 2021, "Confident Learning"; labels made anew in rounds: Lee 2013,
    "Pseudo-Label".
    """
    probe = CrossFittedProbe(evidence.features())

    def head(labels: FloatArray, number: int) -> FloatArray:
        return probe.probs(labels, derived_seed(evidence.seed, number))

    return cross_fit(head, evidence.weak, config.rounds)


def em_head(config: EmHead, evidence: Evidence) -> FloatArray:
    """sigmoid(logit q - logit t), q ∝ p_θ(y | x)·p(ŷ | y), t the quantile 1 - r of q, r the mean of w.

    θ, a cross-fitted probe, is fitted to w, then to 1[q > t]; p(ŷ | y) is counted from p_θ
    (`repairing.noisy_channel.classify_and_refit`). Where noisy_channel with a head stretches the probe
    between its surest examples and puts its mean at one half, this keeps the share of class 1. Celeux &
    Govaert 1992, "A Classification EM Algorithm"; the model: Raykar et al. 2010, "Learning From Crowds", with
    one annotator.
    """
    probe, weak = CrossFittedProbe(evidence.features()), evidence.weak
    q = classify_and_refit(
        lambda labels: probe.probs(labels, evidence.seed), weak, config.iterations
    ).posterior
    return _around(q, float(weak.mean()))


def mean_difference(config: MeanDifference, evidence: Evidence) -> FloatArray:
    """1[x·(μ_1 - μ_0) above its quantile 1 - r], r the mean of w; see `repairing.relabelling`.

    Marks & Tegmark 2023, "The Geometry of Truth" (mass-mean probing).
    """
    return along_mean_difference(evidence.features(), evidence.weak)


def elicited(config: Elicited, evidence: Evidence) -> FloatArray:
    """(1-s)·w + s·sigmoid(logit p - median of logit p), where p = `evidence.prior()` and s the strength.

    Subtracting the median makes half of the strong model's predictions class 1. `evidence.prior()` is already
    averaged over prompt templates and answer orders, consistent within pairs, and based on `task.question` if
    the config has it. Zhao et al. 2021, "Calibrate Before Use"; Burns et al. 2022, "Discovering Latent
    Knowledge" (consistency).
    """
    logits = logit(evidence.checked_prior())
    own = sigmoid(logits - np.median(logits))
    return (1 - config.strength) * evidence.weak + config.strength * own


def consistency(config: Consistency, evidence: Evidence) -> FloatArray:
    """(1-s)·w + s·p, p a contrast-consistent probe with the sign that most ŷ agree with; s the strength.

    The probe, `evidence.consistency()`, uses no label, so it shares no mistake with them but through its
    sign. Burns et al. 2022, "Discovering Latent Knowledge in Language Models Without Supervision".
    """
    own = with_sign(evidence.consistency(), evidence.weak)
    return (1 - config.strength) * evidence.weak + config.strength * own


def _around(probs: FloatArray, rate: float) -> FloatArray:
    """The probabilities with their quantile 1 - rate moved to one half: float64 [n]."""
    threshold = np.array([np.quantile(probs, 1 - rate)])
    return sigmoid(logit(probs) - logit(threshold))


REPAIRS: dict[type[Component], Callable[[Any, Evidence], FloatArray]] = {
    NoRepair: no_repair,
    NoisyChannel: noisy_channel,
    Neighbours: neighbours,
    Propagate: propagate,
    CrossFit: crossfit,
    EmHead: em_head,
    MeanDifference: mean_difference,
    Elicited: elicited,
    RepairFormula: label_formula,
    Consistency: consistency,
    ChannelPerExample: channel_per_example,
}
