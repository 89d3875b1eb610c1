"""Selection components: which examples a student trains on, when, and with what weight.

Scores come from the weak probabilities w and the frozen strong model's features. For balancing, an example's
class is that of its training target (a target of .5 is class 0). All ties go to the lower index.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from trainers.component import Component
from trainers.components.formulas.weights import WeightFormula, formula_weights
from trainers.components.neighbours import nearest_of
from trainers.components.repairing.consistency import with_sign
from trainers.components.selecting.plans import (
    Phase,
    Plan,
    Weights,
    alike,
    quota,
    scaled,
    top,
    weighed,
)
from trainers.components.selecting.spread import Spread, keep_least_spread
from trainers.components.signals import entropy_preference, self_confidence, standard_scores
from trainers.components.weak_labels import Evidence, FloatArray
from trainers.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


class All(Component):
    """Every example, with equal weight."""

    kind: Literal["all"] = "all"

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over."""
        return 1.0


class Confidence(Component):
    """Only the examples the weak supervisor is most confident about."""

    kind: Literal["confidence"] = "confidence"
    share: Annotated[float, Field(ge=0.01, le=1, description="share of the examples kept")] = 0.5
    balanced: Annotated[bool, Field(description="keep as many of each class")] = False
    weights: Annotated[Weights, Field(description="of the kept: alike, or rising with confidence")] = "equal"

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over."""
        return self.share


class Disagreement(Component):
    """Drops the examples whose weak label a cross-fitted probe of the strong model contradicts most."""

    kind: Literal["disagreement"] = "disagreement"
    share: Annotated[float, Field(ge=0, le=0.9, description="share of the examples dropped")] = 0.2

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over."""
        return 1 - self.share


class OverlapDensity(Component):
    """Class-balanced top share by four signals: probe, neighbours, density and the weak label's entropy.

    A probe's probability of the weak label, agreement of neighbours, density, and an entropy near half a bit.
    """

    kind: Literal["overlap_density"] = "overlap_density"
    share: Annotated[float, Field(ge=0.01, le=1, description="share of the examples kept")] = 0.5
    k: Annotated[int, Field(ge=1, le=200, description="how many neighbours an example is compared with")] = 10
    weights: Annotated[Weights, Field(description="of the kept: alike, or rising with the score")] = "equal"

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over."""
        return self.share


class SmallLoss(Component):
    """More and more only the examples of each batch that the student already finds easiest to believe."""

    kind: Literal["small_loss"] = "small_loss"
    share: Annotated[float, Field(ge=0.05, le=1, description="share of each batch kept")] = 0.8
    warmup: Annotated[
        float, Field(ge=0, le=0.95, description="share of training over which the kept share falls from 1")
    ] = 0.3

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over; the rest of a batch is dropped after that."""
        return 1.0


class Curriculum(Component):
    """The most confident examples first, then all of them at a lower learning rate."""

    kind: Literal["curriculum"] = "curriculum"
    share: Annotated[float, Field(ge=0.01, le=1, description="share of the examples in the first phase")] = (
        0.5
    )
    switch: Annotated[
        float, Field(ge=0.05, le=0.95, description="share of training after which all join")
    ] = 0.5
    lr_scale: Annotated[float, Field(ge=0.01, le=1, description="factor on the learning rate after that")] = (
        0.3
    )

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch of the largest phase passes over."""
        return 1.0


class Agreement(Component):
    """Weighs examples by whether the weak label agrees with a probe that was fitted without labels (CCS)."""

    kind: Literal["agreement"] = "agreement"
    epsilon: Annotated[
        float, Field(ge=0, le=1, description="factor on the weight of examples where the two disagree")
    ] = 0.1

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over; at epsilon 0, of those at most."""
        return 1.0


Selection = (
    All
    | Confidence
    | Disagreement
    | OverlapDensity
    | SmallLoss
    | Curriculum
    | Agreement
    | WeightFormula
    | Spread
)


def plan(config: Selection, evidence: Evidence, targets: FloatArray) -> Plan:
    """Return which examples to train on and when.

    targets: float [n], the training targets P(class 1) that the label component made of the same evidence.
    Shares are rounded half up to whole examples; at least one example is always kept, and where classes are
    balanced at least one of each class present. Evidence is computed only if the component uses it.
    Raises ValueError if the features are not finite.
    """
    return SELECTIONS[type(config)](config, evidence, targets)


def small_loss_weights(losses: Tensor, share: float) -> Tensor:
    """Return float [b]: b / kept for the `share` of smallest losses of a batch, 0 for the rest; no gradient.

    They sum to b, so that the plain mean of weights · losses is the mean over the kept losses. At least one
    is kept; ties go to the lower index; NaN counts as the largest.
    """
    values = losses.detach()
    order = torch.argsort(values, stable=True)
    weights = torch.zeros_like(values)
    kept = quota(share, len(values))
    weights[order[:kept]] = len(values) / kept
    return weights


def keep_all(config: All, evidence: Evidence, targets: FloatArray) -> Plan:
    """One phase, every weight 1.

    As naive finetuning on weak labels, Burns et al. 2023.
    """
    return Plan(phases=(alike(np.ones(len(targets), dtype=np.bool_)),))


def keep_confident(config: Confidence, evidence: Evidence, targets: FloatArray) -> Plan:
    """The top share by |w - .5|; balanced, half of that number from each class as far as the class goes.

    A class too small for its half is kept whole, and the other class does not make up for it. Burns et al.
    2023 and the published weak-to-strong baselines ("confident labels only"). Graded: see `_graded`.
    """
    score = np.abs(evidence.weak - 0.5)
    classes = np.asarray(targets) > 0.5 if config.balanced else np.zeros(len(score), dtype=np.bool_)
    return Plan(phases=(weighed(config.weights, score, classes, config.share),))


def drop_disagreement(config: Disagreement, evidence: Evidence, targets: FloatArray) -> Plan:
    """All but the share with the smallest p(ŷ|x).

    ŷ: the hardened weak label. p: a probe on frozen features, fitted to w on the other folds.

    Cross-fitted filtering of noisy labels: Northcutt et al. 2021, "Confident Learning", by self-confidence.
    """
    weak = np.asarray(evidence.weak_probs, dtype=np.float64)
    dropped = min(math.floor(config.share * len(weak) + 0.5), len(weak) - 1)
    return Plan(phases=(alike(top(self_confidence(evidence), len(weak) - dropped)),))


def keep_overlap_density(config: OverlapDensity, evidence: Evidence, targets: FloatArray) -> Plan:
    """The class-balanced top share by z(p(ŷ|x)) + z(agreement) + z(density) + z(entropy preference).

    ŷ: the hardened weak label. p: a probe on frozen features fitted to w on the other folds. Agreement: the
    share of the k nearest others (by cosine) with the same ŷ. Density: the mean similarity to them. Entropy
    preference: exp(-ln²(H/h)/2), a log-Gaussian of the weak label's entropy H in nats around h = ½·ln 2. z is
    (x - mean) / standard deviation, or 0 if the standard deviation is below 1e-4. Points that contain both an
    easy and a hard pattern carry what the weak supervisor can teach: Shin et al. 2024, "Weak-to-Strong
    Generalization Through the Data-Centric Lens"; the four signals are those of "Automated Weak-to-Strong
    Researcher" (2026), which does not state the width of the log-Gaussian: 1 here. Graded: see `_graded`.
    """
    weak = np.asarray(evidence.weak_probs, dtype=np.float64)
    decided = weak > 0.5
    score = standard_scores(self_confidence(evidence)) + standard_scores(entropy_preference(weak))
    if len(weak) > 1:
        indices, similarities = nearest_of(evidence, config.k)
        agreement = (decided[indices] == decided[:, None]).mean(axis=1)
        score += standard_scores(agreement) + standard_scores(similarities.mean(axis=1, dtype=np.float64))
    return Plan(phases=(weighed(config.weights, score, np.asarray(targets) > 0.5, config.share),))


def keep_small_loss(config: SmallLoss, evidence: Evidence, targets: FloatArray) -> Plan:
    """Every example; of each batch only the smallest losses count: a share 1 - (1 - share)·min(t/warmup, 1).

    t: progress. Han et al. 2018, "Co-teaching", equation of R(T), with one network choosing for itself.
    """

    def kept(progress: float) -> float:
        ramp = min(progress / config.warmup, 1.0) if config.warmup else 1.0
        return 1 - (1 - config.share) * ramp

    return Plan(phases=(alike(np.ones(len(targets), dtype=np.bool_)),), keep_share=kept)


def weigh_agreement(config: Agreement, evidence: Evidence, targets: FloatArray) -> Plan:
    """Weights max(c, C) where weak label and probe decide alike, epsilon·min(c, C) where not.

    c = max(w, 1 - w), C = max(p, 1 - p), p the probability of a contrast-consistent probe with the sign that
    most weak labels agree with (`evidence.consistency()`). Kept examples' weights are scaled to a mean of 1.
    Step 2 of the best published recipe, "Automated Weak-to-Strong Researcher" (2026), which resamples by
    these weights and leaves open what ε is; here they weigh the gradient, whose mean is the same.
    """
    weak = evidence.weak
    probe = with_sign(evidence.consistency(), weak)
    sure = np.stack([np.maximum(weak, 1 - weak), np.maximum(probe, 1 - probe)])
    agree = (weak > 0.5) == (probe > 0.5)
    weights = np.where(agree, sure.max(axis=0), config.epsilon * sure.min(axis=0))
    return Plan(phases=(scaled(weights),))


def confident_first(config: Curriculum, evidence: Evidence, targets: FloatArray) -> Plan:
    """The top share by |w - .5| until `switch`, then all examples at `lr_scale` times the learning rate.

    Bengio et al. 2009, "Curriculum Learning".
    """
    score = np.abs(np.asarray(evidence.weak_probs, dtype=np.float64) - 0.5)
    first = alike(top(score, quota(config.share, len(score))))
    rest = Phase(start=config.switch, weights=np.ones(len(score), dtype=np.float32), lr_scale=config.lr_scale)
    return Plan(phases=(first, rest))


def weigh_by_formula(config: WeightFormula, evidence: Evidence, targets: FloatArray) -> Plan:
    """One phase, weighted as `formulas.weights.formula_weights` says.

    The default is the project's own: it rises with the weak label's confidence and falls where an out-of-fold
    probe contradicts it.
    """
    weights = formula_weights(config, evidence, targets)
    return Plan(phases=(Phase(start=0.0, weights=weights, lr_scale=1.0),))


SELECTIONS: dict[type[Component], Callable[[Any, Evidence, FloatArray], Plan]] = {
    All: keep_all,
    Confidence: keep_confident,
    Disagreement: drop_disagreement,
    OverlapDensity: keep_overlap_density,
    SmallLoss: keep_small_loss,
    Curriculum: confident_first,
    WeightFormula: weigh_by_formula,
    Agreement: weigh_agreement,
    Spread: keep_least_spread,
}
