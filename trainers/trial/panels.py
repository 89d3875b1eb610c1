"""Several weak models that label together, as one weak supervisor: their mean or a weighted one, the spread.

Nothing here sees ground truth: models are weighed by how they agree on inputs alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.cache import Arrays
from trainers.components.weak_labels import FloatArray, harden, logit, sigmoid

Pooling = Literal["mean", "weighted"]
STEPS = 100  # of expectation-maximization; a dozen are usual
SETTLED = 1e-6  # change of the posterior at which it ends


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What each supervisor says: P(class 1), float32 [n], of every split.

    spread: float32 [supervisors, n], the standard deviation over its models on the transfer split; None where
    a supervisor is one model. unanimous: whether no two models of a supervisor ever decide differently there.
    """

    supervisors: list[Arrays]
    spread: NDArray[np.float32] | None = None
    unanimous: bool = False


def pooled(models: Sequence[Arrays], size: int, pooling: Pooling) -> Pooled:
    """Make a supervisor of each `size` models in turn.

    models: of each weak model P(class 1), float32 [n], of every split, transfer among them. What a supervisor
    says is the same function of its models on every split: weights come from the transfer split's inputs.
    """
    if size == 1:
        return Pooled(supervisors=list(models))
    supervisors, spreads, unanimous = [], [], True
    for first in range(0, len(models), size):
        panel = models[first : first + size]
        splits = {split: np.stack([of_model[split] for of_model in panel]) for split in panel[0]}
        taught = splits["transfer"]
        weights = agreement_weights(taught) if pooling == "weighted" else np.full(size, 1 / size)
        supervisors.append({split: _mean(probs, weights) for split, probs in splits.items()})
        spreads.append(spread(taught, weights))
        unanimous &= bool((harden(taught) == harden(taught[0])).all())
    return Pooled(supervisors=supervisors, spread=np.stack(spreads), unanimous=unanimous)


def spread(probs: FloatArray, weights: FloatArray) -> NDArray[np.float32]:
    """The weighted standard deviation over models, float32 [n]. probs: [m, n]. weights: [m], adding up to 1.

    As the doubt of an ensemble: Lakshminarayanan et al. 2017, "Simple and Scalable Predictive Uncertainty
    Estimation using Deep Ensembles".
    """
    values = np.asarray(probs, dtype=np.float64)
    variance = weights @ (values - weights @ values) ** 2
    return np.sqrt(variance).astype(np.float32)


def agreement_weights(probs: FloatArray) -> NDArray[np.float64]:
    """Weights of models, float64 [m], adding up to 1: log(a / (1 - a)), or 0 where a is below one half.

    probs: float [m, n], P(class 1). a: a model's balanced accuracy, estimated from decisions alone by
    `estimated_accuracies`. All alike where no model is better than chance. The weights are those of the best
    vote of independent models: Nitzan & Paroush 1982, "Optimal Decision Rules in Uncertain Dichotomous Choice
    Situations". Models that share their training examples are not independent, and seem better than they are.
    """
    weights = np.maximum(logit(estimated_accuracies(probs)), 0)
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(weights), 1 / len(weights))


def estimated_accuracies(probs: FloatArray) -> NDArray[np.float64]:
    """The mean of sensitivity and specificity of each model, float64 [m], in (0, 1), without ground truth.

    A 2x2 table of confusions a model and the share of class 1, fitted by expectation-maximization from the
    mean of the probabilities; one count is added to each cell. Dawid & Skene 1979, "Maximum Likelihood
    Estimation of Observer Error-Rates Using the EM Algorithm".
    """
    votes = harden(probs).astype(np.float64)
    posterior = np.asarray(probs, dtype=np.float64).mean(axis=0)
    for _ in range(STEPS):
        sensitivity = (votes @ posterior + 1) / (posterior.sum() + 2)
        specificity = ((1 - votes) @ (1 - posterior) + 1) / ((1 - posterior).sum() + 2)
        odds = logit(posterior.mean(keepdims=True))
        odds = odds + np.log(sensitivity / (1 - specificity)) @ votes
        odds = odds + np.log((1 - sensitivity) / specificity) @ (1 - votes)
        before, posterior = posterior, sigmoid(np.clip(odds, -60, 60))
        if np.abs(posterior - before).max() < SETTLED:
            break
    accuracies: NDArray[np.float64] = (sensitivity + specificity) / 2
    return accuracies


def _mean(probs: FloatArray, weights: FloatArray) -> NDArray[np.float32]:
    mean = weights @ np.asarray(probs, dtype=np.float64)
    return np.clip(mean, 0, 1).astype(np.float32)
