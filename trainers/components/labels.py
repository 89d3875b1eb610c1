"""Label components, the first step from weak probabilities to training targets: a split or a scale.

Notation in the docstrings: w is the weak P(class 1), ŷ = 1[w > .5] the hardened weak label. A tie, w = .5,
is class 0. What repairs the labels comes after (`trainers.components.repairs`).
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Component
from trainers.components.formulas.labels import LabelFormula, label_formula
from trainers.components.weak_labels import Evidence, FloatArray, harden, highest, logit, sigmoid


class Hard(Component):
    """The weak supervisor's decision as a hard 0 or 1."""

    kind: Literal["hard"] = "hard"


class Soft(Component):
    """The weak probabilities themselves, sharpened (temperature below 1) or flattened (above 1)."""

    kind: Literal["soft"] = "soft"
    temperature: Annotated[float, Field(ge=0.1, le=10, description="below 1 sharpens, above 1 flattens")] = (
        1.0
    )


class Median(Component):
    """A hard 0 or 1 from the rank of the weak probability: the upper half of the examples is class 1."""

    kind: Literal["median"] = "median"
    rate: Annotated[
        Literal["half", "weak"],
        Field(description="share of class 1: one half, or the mean of the weak probabilities"),
    ] = "half"


class Balanced(Component):
    """Soft labels without the weak supervisor's preference for one class: log-odds minus their mean."""

    kind: Literal["balanced"] = "balanced"


class Smoothed(Component):
    """Soft labels pulled towards one half by a fixed share."""

    kind: Literal["smoothed"] = "smoothed"
    epsilon: Annotated[float, Field(ge=0, le=0.9, description="share of the uniform distribution")] = 0.1


Label = Hard | Soft | Median | Balanced | Smoothed | LabelFormula


def hard(config: Hard, evidence: Evidence) -> FloatArray:
    """ŷ = 1[w > .5].

    The project's own choice of labels for naive.
    """
    return harden(evidence.weak_probs).astype(np.float64)


def soft(config: Soft, evidence: Evidence) -> FloatArray:
    """w^(1/T) / (w^(1/T) + (1-w)^(1/T)).

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", for two classes.
    """
    power = 1 / config.temperature
    positive = evidence.weak**power
    sharpened: NDArray[np.float64] = positive / (positive + (1 - evidence.weak) ** power)
    return sharpened


def median(config: Median, evidence: Evidence) -> FloatArray:
    """1[w above the quantile 1 - r], where r is one half or the mean of w; ties as in `highest`.

    A supervisor that calls one class too often still ranks examples, and its rank is kept. r = ½ is right
    where classes are even. Class mass normalisation of Zhu, Ghahramani & Lafferty 2003, "Semi-Supervised
    Learning Using Gaussian Fields and Harmonic Functions", section 4, as a threshold.
    """
    rate = 0.5 if config.rate == "half" else float(evidence.weak.mean())
    return highest(evidence.weak, rate).astype(np.float64)


def balanced(config: Balanced, evidence: Evidence) -> FloatArray:
    """sigmoid(logit w - mean of logit w), w clamped to [1e-6, 1-1e-6].

    The label balancing of EleutherAI's weak-to-strong experiments (2024), over the whole split instead of a
    batch.
    """
    logits = logit(evidence.weak_probs)
    return sigmoid(logits - logits.mean())


def smoothed(config: Smoothed, evidence: Evidence) -> FloatArray:
    """(1-epsilon)·w + epsilon/2.

    Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 7.
    """
    return (1 - config.epsilon) * evidence.weak + config.epsilon / 2


LABELS: dict[type[Component], Callable[[Any, Evidence], FloatArray]] = {
    Hard: hard,
    Soft: soft,
    Median: median,
    Balanced: balanced,
    Smoothed: smoothed,
    LabelFormula: label_formula,
}
