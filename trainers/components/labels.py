"""Label components: weak probabilities in, training targets P(class 1) out.

Notation in the docstrings: w is the weak P(class 1), ŷ = 1[w > .5] the hardened weak label. A tie, w = .5,
is class 0.
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
from trainers.components.weak_labels import Evidence, FloatArray

CLAMP = 1e-6  # distance of probabilities from 0 and 1 before taking logits


class Hard(Component):
    """The weak supervisor's decision as a hard 0 or 1."""

    kind: Literal["hard"] = "hard"


class Soft(Component):
    """The weak probabilities themselves, sharpened (temperature below 1) or flattened (above 1)."""

    kind: Literal["soft"] = "soft"
    temperature: Annotated[float, Field(ge=0.1, le=10, description="below 1 sharpens, above 1 flattens")] = (
        1.0
    )


class Balanced(Component):
    """Soft labels without the weak supervisor's preference for one class: log-odds minus their mean."""

    kind: Literal["balanced"] = "balanced"


class Smoothed(Component):
    """Soft labels pulled towards one half by a fixed share."""

    kind: Literal["smoothed"] = "smoothed"
    epsilon: Annotated[float, Field(ge=0, le=0.9, description="share of the uniform distribution")] = 0.1


class NoisyChannel(Component):
    """Posterior of the true class, weak labels being noisy readings of it and the strong model the prior."""

    kind: Literal["noisy_channel"] = "noisy_channel"
    prior: Annotated[
        Literal["zero_shot", "head"],
        Field(description="zero_shot: the strong model's answer; head: a cross-fitted probe on its features"),
    ] = "zero_shot"
    iterations: Annotated[int, Field(ge=1, le=200, description="steps of expectation-maximization")] = 20


class Neighbours(Component):
    """Weak probabilities mixed with their mean over nearest neighbours in frozen features, class-balanced."""

    kind: Literal["neighbours"] = "neighbours"
    k: Annotated[int, Field(ge=1, le=200, description="how many neighbours vote")] = 10
    share: Annotated[float, Field(ge=0, le=1, description="share of the neighbours' mean in the label")] = 1.0


class Elicited(Component):
    """The strong model's own zero-shot answer, class-balanced, mixed with the weak probability."""

    kind: Literal["elicited"] = "elicited"
    strength: Annotated[float, Field(ge=0, le=1, description="share of the strong model's own answer")] = 0.5


Label = Hard | Soft | Balanced | Smoothed | NoisyChannel | Neighbours | Elicited


def make_targets(config: Label, evidence: Evidence) -> NDArray[np.float32]:
    """Return the training targets: float32 [n], P(class 1) in [0, 1].

    Evidence is computed only if the component uses it. Raises ValueError if weak probabilities lie outside
    [0, 1] or the evidence is not finite.
    """
    _check_probabilities("weak_probs", evidence.weak_probs)
    return np.asarray(LABELS[type(config)](config, evidence), dtype=np.float32)


def harden(probs: FloatArray) -> NDArray[np.bool_]:
    """Whether each probability is above .5, i.e. class 1: bool [n]. A tie, .5, is class 0."""
    decisions: NDArray[np.bool_] = np.asarray(probs) > 0.5
    return decisions


def hard(config: Hard, evidence: Evidence) -> FloatArray:
    """ŷ = 1[w > .5]."""
    return harden(evidence.weak_probs).astype(np.float64)


def soft(config: Soft, evidence: Evidence) -> FloatArray:
    """w^(1/T) / (w^(1/T) + (1-w)^(1/T)).

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", for two classes.
    """
    weak = _weak(evidence)
    power = 1 / config.temperature
    positive = weak**power
    sharpened: NDArray[np.float64] = positive / (positive + (1 - weak) ** power)
    return sharpened


def balanced(config: Balanced, evidence: Evidence) -> FloatArray:
    """sigmoid(logit w - mean of logit w), w clamped to [1e-6, 1-1e-6].

    The label balancing of EleutherAI's weak-to-strong experiments (2024), over the whole split instead of a
    batch.
    """
    logits = _logit(evidence.weak_probs)
    return _sigmoid(logits - logits.mean())


def smoothed(config: Smoothed, evidence: Evidence) -> FloatArray:
    """(1-epsilon)·w + epsilon/2.

    Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 7.
    """
    return (1 - config.epsilon) * _weak(evidence) + config.epsilon / 2


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
        _weak(evidence),
        config.iterations,
    ).posterior


def neighbours(config: Neighbours, evidence: Evidence) -> FloatArray:
    """sigmoid(logit m - logit M), m = (1-share)·w + share·(mean of w over the k nearest others), M its mean.

    Nearest by cosine. What lies above the mean becomes class 1: a vote of neighbours follows the majority,
    and would enlarge the supervisor's preference for one class. m is clamped to [1e-6, 1-1e-6]; k is at most
    n - 1; a lone example keeps its w. Zhu & Ghahramani 2002, label propagation, one step; as a correction of
    noisy labels, Bahri et al. 2020, "Deep k-NN for Noisy Labels".
    """
    weak = _weak(evidence)
    if len(weak) == 1:
        return weak
    indices, _ = nearest(evidence.features(), config.k)
    mixed = (1 - config.share) * weak + config.share * weak[indices].mean(axis=1)
    return _sigmoid(_logit(mixed) - _logit(mixed.mean()))


def elicited(config: Elicited, evidence: Evidence) -> FloatArray:
    """(1-s)·w + s·sigmoid(logit p - median of logit p), where p = `evidence.prior()` and s the strength.

    Subtracting the median makes half of the strong model's predictions class 1. `evidence.prior()` is already
    averaged over prompt templates and answer orders, consistent within pairs, and based on `task.question` if
    the config has it. Zhao et al. 2021, "Calibrate Before Use"; Burns et al. 2022, "Discovering Latent
    Knowledge" (consistency).
    """
    logits = _logit(_prior(evidence))
    own = _sigmoid(logits - np.median(logits))
    return (1 - config.strength) * _weak(evidence) + config.strength * own


def _weak(evidence: Evidence) -> NDArray[np.float64]:
    return np.asarray(evidence.weak_probs, dtype=np.float64)


def _prior(evidence: Evidence) -> NDArray[np.float64]:
    prior = np.asarray(evidence.prior(), dtype=np.float64)
    _check_probabilities("evidence.prior()", prior)
    return prior


def _check_probabilities(name: str, probs: FloatArray) -> None:
    wrong = ~((np.asarray(probs) >= 0) & (np.asarray(probs) <= 1))
    if wrong.any():
        index = int(wrong.argmax())
        raise ValueError(
            f"{name} must lie in [0, 1], got {probs[index]} for example {index}: give P(class 1)"
        )


def _logit(probs: FloatArray) -> NDArray[np.float64]:
    inside = np.clip(np.asarray(probs, dtype=np.float64), CLAMP, 1 - CLAMP)
    logits: NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return logits


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    probs: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probs


LABELS: dict[type[Component], Callable[[Any, Evidence], FloatArray]] = {
    Hard: hard,
    Soft: soft,
    Balanced: balanced,
    Smoothed: smoothed,
    NoisyChannel: noisy_channel,
    Neighbours: neighbours,
    Elicited: elicited,
}
