"""A channel from true to weak labels that depends on features of the example, fitted by EM."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.components.probing import standardise
from trainers.components.repairing.noisy_channel import CLAMP, SETTLED, START
from trainers.components.weak_labels import FloatArray, logit, sigmoid

ASCENTS = 5  # steps uphill in each maximisation
ROUNDING = 1e-3  # standard deviation of a direction of which rounding alone is left
DIRECTIONS = 8  # of most variance in the features of the strong model


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureChannel:
    """A fitted channel and its posterior for each example.

    weights: float64 [2, d + 1], of class 0 and of class 1, the last one the intercept: p(ŷ = 1 | y, φ) =
    sigmoid(weights[y] · (φ, 1)). posterior: float64 [n], P(y = 1 | x, ŷ).
    """

    weights: NDArray[np.float64]
    posterior: NDArray[np.float64]


def fit_feature_channel(
    prior: FloatArray, hard: NDArray[np.bool_], features: FloatArray, iterations: int
) -> FeatureChannel:
    """Fit p(ŷ | y, φ) to weak labels by penalised marginal likelihood, given P(y = 1) of each example.

    prior: float [n] in [0, 1], clamped to [1e-6, 1-1e-6]. hard: bool [n], ŷ. features: float [n, d], φ, with
    mean 0 and standard deviation 1. Σ log Σ_y p(y)·p(ŷ | y, φ) - |slopes|²/2 never falls (slopes are standard
    normal beforehand, so that without evidence the channel is constant): each
    iteration computes the posterior (E), then climbs by steps of Newton's method with p(1 - p) replaced by
    its bound 1/4 (M). It begins at a constant channel that is better than chance, and with features that say
    nothing it ends at `noisy_channel.fit_channel`. A step of the second of the five rungs of "Automated
    Weak-to-Strong Researcher" (2026); noise that depends on the instance: Menon et al. 2018, "Learning from
    binary labels with instance-dependent noise"; a model of the annotator: Raykar et al. 2010.
    """
    positive = np.clip(np.asarray(prior, dtype=np.float64), CLAMP, 1 - CLAMP)
    design, weights = _design(features), _start(features.shape[1])
    for _ in range(iterations):
        before = weights
        posterior = _posterior(positive, sigmoid(weights @ design.T), hard)
        weights = _climbed(before, design, posterior, hard)
        if np.abs(weights - before).max() < SETTLED / 10:
            break
    return FeatureChannel(weights=weights, posterior=_posterior(positive, sigmoid(weights @ design.T), hard))


def refit_with_features(
    prior: Callable[[FloatArray], FloatArray],
    weak: NDArray[np.float64],
    features: FloatArray,
    iterations: int,
) -> FeatureChannel:
    """Fit a prior and a channel in turn, as `noisy_channel.refit_head` does with a constant channel.

    prior: targets P(class 1), float [n] -> P(class 1) by a head that is fitted to them, for each example one
    that has not seen its target; it should be clean, as `noisy_channel.clean_prior` makes it. The channel is
    fitted to the prior, not to the posterior, which knows ŷ. weak: the first targets. features: as in
    `fit_feature_channel`. It ends early once the posterior changes by less than 1e-3.
    """
    hard, posterior = weak > 0.5, weak
    design, weights = _design(features), _start(features.shape[1])
    for _ in range(iterations):
        before = posterior
        clean = np.clip(np.asarray(prior(before), dtype=np.float64), CLAMP, 1 - CLAMP)
        weights = _climbed(weights, design, clean, hard)
        posterior = _posterior(clean, sigmoid(weights @ design.T), hard)
        if np.abs(posterior - before).max() < SETTLED:
            break
    return FeatureChannel(weights=weights, posterior=posterior)


def doubts(weak: FloatArray, log_odds: FloatArray, spread: FloatArray | None = None) -> FloatArray:
    """How sure the weak label is, how sure the prior, and how far its answers differ: float64 [n, 2 or 3].

    |logit w|, |m| and the spread if it is given, each with mean 0 and standard deviation 1. Not whether w and
    m agree: a channel that is told the side of ŷ explains every ŷ by it, and no label by the true class.
    """
    columns = [np.abs(logit(weak)), np.abs(np.asarray(log_odds, dtype=np.float64))]
    columns += [] if spread is None else [np.asarray(spread, dtype=np.float64)]
    return standard_columns(np.stack(columns, axis=1))


def widest_beside(log_odds: FloatArray, features: FloatArray, count: int = DIRECTIONS) -> FloatArray:
    """The coordinates of most variance, float64 [n, at most count], with mean 0 and standard deviation 1.

    They are uncorrelated with the log-odds of the prior: a channel that knows what the prior says explains
    weak labels by it in place of the true class. By the eigenvectors of the covariance matrix, [d, d]; each
    with the sign that makes its largest entry positive, so that the same features give the same coordinates.
    Raises ValueError for features that are not finite.
    """
    values = standardise(features).numpy()
    known = standard_columns(log_odds).astype(np.float32)
    values -= np.outer(known, known @ values / len(values))
    _, vectors = np.linalg.eigh((values.T @ values).astype(np.float64) / len(values))
    chosen = vectors[:, ::-1][:, :count]
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])])
    found: NDArray[np.float64] = values @ (chosen * signs)
    return standard_columns(found[:, found.std(axis=0) > ROUNDING])


def standard_columns(values: FloatArray) -> NDArray[np.float64]:
    """Columns with mean 0 and standard deviation 1, float64 [n, d]; a constant one becomes 0."""
    given = np.asarray(values, dtype=np.float64)
    mean, deviation = given.mean(axis=0), given.std(axis=0)
    flat = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    return np.where(flat, 0.0, given - mean) / np.where(flat, 1.0, deviation)


def _design(features: FloatArray) -> NDArray[np.float64]:
    return np.column_stack([np.asarray(features, dtype=np.float64), np.ones(len(features))])


def _start(width: int) -> NDArray[np.float64]:
    weights = np.zeros((2, width + 1))
    weights[:, -1] = logit(np.array(START)[:, 1])
    return weights


def _posterior(
    positive: NDArray[np.float64], rates: NDArray[np.float64], hard: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """P(y = 1 | x, ŷ); rates: [2, n], p(ŷ = 1 | y)."""
    read = np.where(hard, rates, 1 - rates)
    joint_0, joint_1 = (1 - positive) * read[0], positive * read[1]
    found: NDArray[np.float64] = joint_1 / (joint_0 + joint_1)
    return found


def _climbed(
    weights: NDArray[np.float64],
    design: NDArray[np.float64],
    posterior: NDArray[np.float64],
    hard: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The weights after some steps up the likelihood of ŷ, each example counting for both classes."""
    ridge = np.full(design.shape[1], 1 / len(design))
    ridge[-1] = CLAMP  # the intercept is free, but for a class that no example has
    found = weights.copy()
    for cls, shares in enumerate((1 - posterior, posterior)):
        curvature = (design * shares[:, None]).T @ design / (4 * len(design)) + np.diag(ridge)
        for _ in range(ASCENTS):
            errors = shares * (hard - sigmoid(design @ found[cls]))
            slope = design.T @ errors / len(design) - ridge * found[cls]
            found[cls] += np.linalg.solve(curvature, slope)
    return found
