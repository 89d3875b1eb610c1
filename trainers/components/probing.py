"""Probes on the strong model's frozen features, cross-fitted so that no label predicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainers.components.weak_labels import FloatArray
from trainers.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

FOLDS = 5
RIDGE = 0.3  # penalty on the mean loss: enough for more features than examples and a third of labels wrong


STEPS = 400  # of a fit; a dozen are usual
SMALL = 1e-5  # largest entry of the gradient at which a fit ends


class CrossFittedProbe:
    """Heads on the same features, fitted to one set of targets after another.

    What the features alone decide is computed once, and targets with the same folds as those before begin
    at the weights that fitted those. Cross-fitting: Chernozhukov et al. 2018, "Double/debiased machine
    learning".
    """

    def __init__(self, features: FloatArray, *, folds: int = FOLDS, ridge: float = RIDGE) -> None:
        """features: float [n, d], standardised here over all examples (no label enters into that).

        Holds float64 [d + 1, d + 1] beside them. Raises ValueError for features that are not finite.
        """
        standard = standardise(features)
        self._count = len(standard)
        self._folds = min(folds, self._count)
        fewest = self._count - -(-self._count // max(self._folds, 1))
        self._descent = _Descent(standard, fewest=max(fewest, 1), ridge=ridge)
        self._seed: int | None = None
        self._weights: Tensor | None = None

    def probs(self, targets: FloatArray, seed: int) -> FloatArray:
        """Return float64 [n]: each example's P(class 1) by a probe fitted on the other folds.

        An example's own target has no influence on its own probability. targets: float [n] in [0, 1]. The
        folds are a random partition drawn from `seed`; with fewer examples than folds each example is its own
        fold. A lone example has probability .5.
        """
        if self._count < 2:
            return np.full(self._count, 0.5)
        if seed != self._seed:
            self._seed, self._weights = seed, None
        fold_of = torch.from_numpy(np.random.default_rng(seed).permutation(self._count) % self._folds)
        learnt = (fold_of[:, None] != torch.arange(self._folds)).float()
        labels = torch.as_tensor(np.asarray(targets), dtype=torch.float32)[:, None]
        self._weights = self._descent.fit(labels, learnt / learnt.sum(dim=0), self._weights)
        logits = self._descent.logits(self._weights).gather(1, fold_of[:, None])[:, 0]
        return torch.sigmoid(logits.double()).numpy()


def cross_fitted_probs(
    features: FloatArray, targets: FloatArray, seed: int, *, folds: int = FOLDS, ridge: float = RIDGE
) -> FloatArray:
    """The probabilities, float64 [n], of a probe for one set of targets; see CrossFittedProbe."""
    return CrossFittedProbe(features, folds=folds, ridge=ridge).probs(targets, seed)


def fit_logistic(features: Tensor, targets: Tensor, *, ridge: float) -> tuple[Tensor, Tensor]:
    """Fit b and c of P(class 1) = sigmoid(x·b + c) to soft targets; return (float32 [d], scalar)."""
    count = len(features)
    descent = _Descent(features, fewest=count, ridge=ridge)
    weights = descent.fit(targets.float()[:, None], torch.full((count, 1), 1 / count))
    return weights[:-1, 0], weights[-1, 0]


class _Descent:
    """Minimises mean cross-entropy + ridge/2·|b|², the intercept free, over several subsets at once.

    Each step is Newton's with p(1 - p) replaced by its bound 1/4, so that it descends and one factorisation
    serves all targets and all subsets of at least `fewest` examples: Böhning & Lindsay 1988, "Monotonicity of
    quadratic-approximation algorithms". With momentum, which starts anew after a step uphill: O'Donoghue &
    Candès 2015, "Adaptive Restart for Accelerated Gradient Schemes". From given weights or zero, so nothing
    is random.
    """

    def __init__(self, features: Tensor, *, fewest: int, ridge: float) -> None:
        self._inputs = torch.cat([features, torch.ones(len(features), 1)], dim=1)
        self._ridge = torch.full((self._inputs.shape[1], 1), ridge)
        self._ridge[-1] = 0
        bound = (self._inputs.T @ self._inputs).double() / (4 * fewest)
        self._factor = torch.linalg.cholesky(bound + torch.diag(self._ridge[:, 0]).double()).float()

    def logits(self, weights: Tensor) -> Tensor:
        """[n, subsets] the logits of every example."""
        return self._inputs @ weights

    def fit(self, targets: Tensor, shares: Tensor, start: Tensor | None = None) -> Tensor:
        """The weights, [d + 1, subsets]. targets: [n, 1]. shares: [n, subsets], of examples in their subsets.

        Each subset ends by itself, so that none depends on targets that only the others have.
        """
        subsets = shares.shape[1]
        weights = torch.zeros(self._inputs.shape[1], subsets) if start is None else start
        ahead, turn, moving = weights, torch.ones(subsets), torch.ones(subsets, dtype=torch.bool)
        for _ in range(STEPS):
            errors = (torch.sigmoid(self.logits(ahead)) - targets) * shares
            gradient = self._inputs.T @ errors + self._ridge * ahead
            moving &= gradient.abs().amax(dim=0) > SMALL
            if not moving.any():
                break
            step = ahead - torch.cholesky_solve(gradient, self._factor) - weights
            uphill = (gradient * step).sum(dim=0) > 0
            later = torch.where(uphill, 1.0, (1 + (1 + 4 * turn**2).sqrt()) / 2)
            momentum = torch.where(uphill, 0.0, (turn - 1) / later)
            ahead = torch.where(moving, weights + (1 + momentum) * step, ahead)
            weights, turn = weights + step, later
        return ahead


def standardise(features: FloatArray) -> Tensor:
    """Return float32 [n, d] with mean 0 and standard deviation 1 in each column; a constant column becomes 0.

    Raises ValueError if a feature is NaN or infinite.
    """
    values = finite_features(features)
    mean = values.mean(axis=0, dtype=np.float64)
    spread = values.std(axis=0, dtype=np.float64)
    # The standard deviation of a constant column is rounding error, not exactly 0.
    flat = spread <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    scale = np.where(flat, 0.0, 1 / np.where(flat, 1.0, spread))
    return torch.from_numpy((values - mean.astype(np.float32)) * scale.astype(np.float32))


def finite_features(features: FloatArray) -> NDArray[np.float32]:
    """Return the features as float32 [n, d]; raise ValueError if a feature is NaN or infinite in float32."""
    values = np.asarray(features, dtype=np.float32)
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"features must be finite, got NaN or infinity in {int(wrong.sum())} of {len(values)} examples, "
            f"the first of them {int(wrong.argmax())}: compute them in float32 or bfloat16"
        )
    return values
