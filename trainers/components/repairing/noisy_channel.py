"""A 2x2 channel from true to weak labels, fitted by expectation-maximization."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.components.weak_labels import FloatArray, highest

CLAMP = 1e-6  # distance of the prior from 0 and 1, so that weak labels can always move it
ANCHORS = (0.03, 0.97)  # quantiles of a probe's probabilities that count as certain examples
LEAST_SPREAD = 0.2  # of the anchors: a probe with less knows too little to be stretched to certainty
SETTLED = 1e-3  # change of the posterior at which the head is not refitted any more
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


def refit_head(
    head: Callable[[FloatArray], FloatArray], weak: NDArray[np.float64], iterations: int
) -> Channel:
    """Fit a head and a channel to weak labels in turn.

    head: targets P(class 1), float [n] -> P(class 1) by a head that is fitted to them, for each example one
    that has not seen its target. weak: float64 [n], the first targets. Each iteration fits the head θ to the
    targets q, takes the channel p(ŷ | y) from the head's probabilities, and makes new targets q ∝
    p_θ(y | x)·p(ŷ | y); it ends early once they change by less than 1e-3. p_θ is stretched by `clean_prior`.
    The channel is counted from p_θ and not from q: q knows ŷ, so labels would vouch for themselves, and the
    channel would tend to the identity. Dawid & Skene 1979 with a classifier that is fitted along with it:
    Raykar et al. 2010, "Learning From Crowds".
    """
    seen = (weak > 0.5).astype(np.int64)
    posterior, table = weak, np.array(START)
    for _ in range(iterations):
        before = posterior
        prior = np.clip(np.asarray(clean_prior(head(before)), dtype=np.float64), CLAMP, 1 - CLAMP)
        table = _table(prior, seen)
        posterior = _posterior(prior, table, seen)
        if np.abs(posterior - before).max() < SETTLED:
            break
    return Channel(table=table, posterior=posterior)


def classify_and_refit(
    head: Callable[[FloatArray], FloatArray], weak: NDArray[np.float64], iterations: int
) -> Channel:
    """Fit a head and a channel in turn, the head to decisions that keep the share of class 1.

    head, weak: as in `refit_head`. Each iteration fits the head θ to labels c, at first to `weak`, counts the
    channel p(ŷ | y) from the head's probabilities, and makes of q ∝ p_θ(y | x)·p(ŷ | y) new labels c = 1[q
    above its quantile 1 - r], where r is the mean of `weak`; it ends early once they stay. The posterior is
    the last q. Fitted to q itself, a penalised head is flatter each time, and so is the channel, until q is
    r everywhere. Celeux & Govaert 1992, "A Classification EM Algorithm"; the model: Raykar et al. 2010,
    "Learning From Crowds", with one annotator.
    """
    seen = (weak > 0.5).astype(np.int64)
    rate, labels = float(weak.mean()), weak
    posterior, table = weak, np.array(START)
    for _ in range(iterations):
        before = labels
        prior = np.clip(np.asarray(head(before), dtype=np.float64), CLAMP, 1 - CLAMP)
        table = _table(prior, seen)
        posterior = _posterior(prior, table, seen)
        labels = highest(posterior, rate).astype(np.float64)
        if np.array_equal(labels, before):
            break
    return Channel(table=table, posterior=posterior)


def clean_prior(noisy: FloatArray) -> FloatArray:
    """Return P(y = 1 | x), float64 [n], from a probe's P(ŷ = 1 | x), which was fitted to weak labels.

    Under a channel that depends on y alone, P(ŷ = 1 | x) = p(1 | 0) + (p(1 | 1) - p(1 | 0))·P(y = 1 | x),
    so the surest examples of each class show the ends of the scale. Those ends, the 3% and 97% quantiles,
    are stretched to a range of 1, values beyond [0, 1] are clipped, and ends closer than .2 count as .2
    apart. The mean goes to one half: the middle between the ends would keep the weak supervisor's preference
    for one class. Without stretching, the best channel would be the identity: the probe already explains the
    weak labels, mistakes included. Patrini et al. 2017, "Making Deep Neural Networks Robust to Label Noise",
    section 4 (anchor points and their quantile).
    """
    low, high = np.quantile(np.asarray(noisy, dtype=np.float64), ANCHORS)
    spread = max(high - low, LEAST_SPREAD)
    clean: NDArray[np.float64] = np.clip(0.5 + (noisy - np.mean(noisy)) / spread, 0, 1)
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
