"""A probe on the strong model's frozen features, cross-fitted so that no label predicts itself."""

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


def cross_fitted_probs(
    features: FloatArray, targets: FloatArray, seed: int, *, folds: int = FOLDS, ridge: float = RIDGE
) -> FloatArray:
    """Return float64 [n]: each example's P(class 1) by a probe fitted on the other folds.

    An example's own target has no influence on its own probability. features: float [n, d], standardised
    here over all examples (no label enters into that). targets: float [n] in [0, 1]. The folds are a random
    partition drawn from `seed`; with fewer examples than folds each example is its own fold. A lone example
    has probability .5. Raises ValueError for features that are not finite.

    Cross-fitting: Chernozhukov et al. 2018, "Double/debiased machine learning".
    """
    standard = standardise(features)
    labels = torch.as_tensor(np.asarray(targets), dtype=torch.float32)
    count = len(labels)
    fold_of = np.random.default_rng(seed).permutation(count) % folds
    probs = np.full(count, 0.5)
    for fold in range(min(folds, count) if count > 1 else 0):
        held_out = torch.from_numpy(fold_of == fold)
        weights, intercept = fit_logistic(standard[~held_out], labels[~held_out], ridge=ridge)
        probs[held_out.numpy()] = torch.sigmoid((standard[held_out] @ weights + intercept).double()).numpy()
    return probs


def fit_logistic(
    features: Tensor, targets: Tensor, *, ridge: float, steps: int = 100
) -> tuple[Tensor, Tensor]:
    """Fit b and c of P(class 1) = sigmoid(x·b + c) to soft targets; return (float32 [d], scalar).

    Minimises mean cross-entropy + ridge/2·|b|² (the intercept is free) by at most `steps` steps of L-BFGS
    with a strong-Wolfe line search (Nocedal & Wright 2006, chapters 3 and 7), from zero: no randomness.
    """
    weights = torch.zeros(features.shape[1], requires_grad=True)
    intercept = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights, intercept],
        max_iter=steps,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def objective() -> float:
        optimizer.zero_grad()
        logits = features @ weights + intercept
        fit = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        loss = fit + ridge / 2 * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    return weights.detach(), intercept.detach()


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
