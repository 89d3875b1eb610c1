"""A 2x2 channel from true to weak labels, fitted by expectation-maximization."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.components.weak_labels import FloatArray

CLAMP = 1e-6  # distance of the prior from 0 and 1, so that weak labels can always move it
ANCHORS = (0.03, 0.97)  # quantiles of a probe's probabilities that count as certain examples
LEAST_SPREAD = 0.2  # of the anchors: a probe with less knows too little to be stretched to certainty
START = ((0.75, 0.25), (0.25, 0.75))  # better than chance; see fit_channel


@dataclass(frozen=True, kw_only=True, eq=False)
class Channel:
    """A fitted channel and its posterior for each example.

    table: float64 [2, 2], table[y, ŷ] = p(ŷ | y); rows sum to 1. posterior: float64 [n], P(y = 1 | x, ŷ).
    """

    table: NDArray[np.float64]
    posterior: NDArray[np.float64]


def fit_channel(prior: FloatArray, hard: NDArray[np.bool_], iterations: int) -> Channel:
    """Fit p(ŷ | y) to weak labels by maximum likelihood, given P(y = 1) of each example.

    prior: float [n] in [0, 1], clamped to [1e-6, 1-1e-6]. hard: bool [n], the weak labels ŷ. Each iteration
    computes the posterior under the table (E) and then the table from the posterior's counts (M); the
    returned posterior is that of the last table. The likelihood is concave in the table, so the start does
    not matter under an informative prior; under a constant prior, where the data decide nothing, it assumes
    that weak labels are better than chance. Dawid & Skene 1979; with a model as the prior, Bekker &
    Goldberger 2016, "Training Deep Neural-Networks Based on Unreliable Labels".
    """
    positive = np.clip(np.asarray(prior, dtype=np.float64), CLAMP, 1 - CLAMP)
    seen = hard.astype(np.int64)
    table = np.array(START)
    for _ in range(iterations):
        table = _table(_posterior(positive, table, seen), seen)
    return Channel(table=table, posterior=_posterior(positive, table, seen))


def clean_prior(noisy: FloatArray) -> FloatArray:
    """Return P(y = 1 | x), float64 [n], from a probe's P(ŷ = 1 | x), which was fitted to weak labels.

    Under a channel that depends on y alone, P(ŷ = 1 | x) = p(1 | 0) + (p(1 | 1) - p(1 | 0))·P(y = 1 | x),
    so the surest examples of each class show the ends of the scale. Those ends, the 3% and 97% quantiles,
    are stretched to 0 and 1, values beyond are clipped, and ends closer than .2 count as .2 apart.
    Without this the best channel would be the identity: the probe already explains the weak labels,
    mistakes included. Patrini et al. 2017, "Making Deep Neural Networks Robust to Label Noise", section 4
    (anchor points and their quantile).
    """
    low, high = np.quantile(np.asarray(noisy, dtype=np.float64), ANCHORS)
    centre, spread = (low + high) / 2, max(high - low, LEAST_SPREAD)
    clean: NDArray[np.float64] = np.clip(0.5 + (noisy - centre) / spread, 0, 1)
    return clean


def _posterior(
    positive: FloatArray, table: NDArray[np.float64], seen: NDArray[np.int64]
) -> NDArray[np.float64]:
    joint_1 = positive * table[1, seen]
    joint_0 = (1 - positive) * table[0, seen]
    posterior: NDArray[np.float64] = joint_1 / (joint_1 + joint_0)
    return posterior


def _table(posterior: NDArray[np.float64], seen: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = np.array(
        [
            np.bincount(seen, weights=1 - posterior, minlength=2),
            np.bincount(seen, weights=posterior, minlength=2),
        ]
    )
    table: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return table
