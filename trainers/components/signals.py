"""Signals of how far a weak label can be trusted, of which selections make scores. ŷ = 1[w > .5]."""

import math

import numpy as np
from numpy.typing import NDArray

from trainers.components.probing import cross_fitted_probs
from trainers.components.weak_labels import Evidence

BEST_ENTROPY = math.log(2) / 2  # of a weak label, in nats: neither trivial nor a guess


def self_confidence(evidence: Evidence) -> NDArray[np.float64]:
    """A probe's probability of each hardened weak label; the probe is fitted to w on the other folds."""
    weak = np.asarray(evidence.weak_probs, dtype=np.float64)
    probe = cross_fitted_probs(evidence.features(), weak, evidence.seed)
    return np.where(weak > 0.5, probe, 1 - probe)


def entropy_preference(weak: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(-ln²(H/h)/2), where H is the entropy of each weak label in nats and h = ½·ln 2: float64 [n]."""
    inside = np.clip(weak, 1e-12, 1 - 1e-12)
    entropy = -inside * np.log(inside) - (1 - inside) * np.log1p(-inside)
    preference: NDArray[np.float64] = np.exp(-(np.log(entropy / BEST_ENTROPY) ** 2) / 2)
    return preference


def standard_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x - mean) / standard deviation, float64 [n]; 0 if the standard deviation is below 1e-4."""
    spread = values.std()
    # All four signals lie within [-1, 1]: a smaller spread is an artefact of the probe's solver.
    if spread < 1e-4:
        return np.zeros_like(values)
    standard: NDArray[np.float64] = (values - values.mean()) / spread
    return standard
