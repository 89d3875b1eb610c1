"""A probe of features in two forms that contradict each other, fitted without labels (CCS)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainers.components.probing import standardise
from trainers.components.weak_labels import FloatArray, harden
from trainers.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

STARTS = 10  # random ones, as published; the direction of most variance is one more
STEPS = 200
RATE = 0.3  # of Adam at first, over √d as the starts are; it falls to zero
RIDGE = 0.01  # penalty on the mean loss, the published weight decay
FITTED = 5_000  # examples that a probe is fitted to at most
TURNS = 30  # of the power iteration: a start need not be exact


def consistency_probs(layers: Iterable[tuple[FloatArray, FloatArray]], seed: int) -> NDArray[np.float64]:
    """P of one of the two classes, float64 [n], by the layer whose probe has the least loss.

    layers: of each layer float [n, d] features of the examples in two forms x⁺ and x⁻ of which one is true: a
    pair in both orders, a text with either answer. Which class it is nobody knows: see `with_sign`. No label
    is used. Burns et al. 2022, "Discovering Latent Knowledge in Language Models Without Supervision"; the
    layer of least loss: "Automated Weak-to-Strong Researcher" (2026).
    """
    found = [fit_consistency(positive, negative, seed) for positive, negative in layers]
    probs, _ = min(found, key=lambda fitted: fitted[1])
    return probs


def fit_consistency(
    positive: FloatArray, negative: FloatArray, seed: int
) -> tuple[NDArray[np.float64], float]:
    """(p⁺ + 1 - p⁻)/2 of each example, float64 [n], and the loss of the probe on all examples.

    p± = sigmoid(x±·b + c); x± are standardised in each form, so that it cannot be told from the other. The
    probe minimises mean (p⁺ + p⁻ - 1)² + mean min(p⁺, p⁻)² + ridge/2·|b|² by Adam on at most 5,000 examples
    drawn from `seed`, from ten random starts and from the direction in which x⁺ - x⁻ varies most, and the one
    of least loss is kept: the loss has many minima. The penalty takes the place of the published weight
    decay. On the CPU, in float32; the same seed gives the same probe. Raises ValueError for features that are
    not finite.
    """
    forms = torch.stack([standardise(positive), standardise(negative)])
    rng = np.random.default_rng(seed)
    count = forms.shape[1]
    rows = np.sort(rng.choice(count, FITTED, replace=False)) if count > FITTED else np.arange(count)
    seen = forms[:, torch.from_numpy(rows)]
    weights = torch.cat([_random_starts(rng, forms.shape[2]), _widest(rng, seen[0] - seen[1])], dim=1)
    weights, intercepts = _descend(seen, weights)
    best = int(torch.argmin(_losses(seen, weights, intercepts)))
    chosen = weights[:, best : best + 1], intercepts[best : best + 1]
    with torch.no_grad():
        true, false = torch.sigmoid(forms @ chosen[0] + chosen[1]).squeeze(-1).double()
        loss = float(_losses(forms, *chosen))
    return ((true + 1 - false) / 2).numpy(), loss


def with_sign(probs: FloatArray, weak: FloatArray) -> NDArray[np.float64]:
    """The probabilities p or 1 - p, float64 [n], whichever decide as most weak labels do; p on a tie."""
    values = np.asarray(probs, dtype=np.float64)
    agreement = float((harden(values) == harden(weak)).mean())
    return values if agreement >= 0.5 else 1 - values


def _random_starts(rng: np.random.Generator, width: int) -> Tensor:
    drawn = rng.standard_normal((width, STARTS)) / np.sqrt(width)
    return torch.from_numpy(drawn.astype(np.float32))


def _widest(rng: np.random.Generator, differences: Tensor) -> Tensor:
    """The direction in which x⁺ - x⁻ varies most, float32 [d, 1], so long that logits have variance 1.

    By power iteration (Golub & Van Loan 2013, section 8.2), which needs no matrix of all features by all.
    Burns et al. 2022, "contrastive representation clustering", by its first component.
    """
    drawn = rng.standard_normal((differences.shape[1], 1)).astype(np.float32)
    direction: Tensor = torch.from_numpy(drawn)
    for _ in range(TURNS):
        moved = differences.T @ (differences @ direction)
        direction = moved / moved.norm().clamp_min(1e-12)
    spread = (differences @ direction).square().mean().sqrt().clamp_min(1e-6)
    return direction * 2 / spread


def _descend(forms: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weights [d, starts] and intercepts [starts] where Adam ends."""
    weights = weights.clone().requires_grad_(True)
    intercepts = torch.zeros(weights.shape[1], requires_grad=True)
    adam = torch.optim.Adam([weights, intercepts])
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = RATE / len(weights) ** 0.5 * (1 - step / STEPS)
        adam.zero_grad()
        _losses(forms, weights, intercepts).sum().backward()  # type: ignore[no-untyped-call]  # torch has no types here
        adam.step()
    return weights.detach(), intercepts.detach()


def _losses(forms: Tensor, weights: Tensor, intercepts: Tensor) -> Tensor:
    """The loss of each start, float32 [starts]. forms: float32 [2, n, d]."""
    true, false = torch.sigmoid(forms @ weights + intercepts)
    consistency = (true + false - 1).square().mean(dim=0)
    confidence = torch.minimum(true, false).square().mean(dim=0)
    losses: Tensor = consistency + confidence + RIDGE / 2 * weights.square().sum(dim=0)
    return losses
