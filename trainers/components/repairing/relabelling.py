"""Labels made anew from linear functions of the strong model's frozen features."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trainers.components.probing import standardise
from trainers.components.weak_labels import FloatArray, highest


def cross_fit(
    head: Callable[[FloatArray, int], FloatArray], labels: NDArray[np.float64], rounds: int
) -> NDArray[np.float64]:
    """Return hard labels, float64 [n]: 1[p above its quantile 1 - r], made anew `rounds` times.

    head: labels float [n] and the number of the round, from 0 -> P(class 1), float [n], of each example by a
    head that has not seen its label. r: the mean of the first labels, so that the share of class 1 stays.
    What a head says of labels that it has not seen is what the features and the other labels agree on.
    Out-of-fold probabilities: Northcutt et al. 2021, "Confident Learning"; labels made anew in rounds: Lee
    2013, "Pseudo-Label".
    """
    rate = float(labels.mean())
    for number in range(rounds):
        labels = highest(head(labels, number), rate).astype(np.float64)
    return labels


def along_mean_difference(features: FloatArray, labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return hard labels, float64 [n]: 1[x·(μ_1 - μ_0) above its quantile 1 - r].

    x: features, standardised. μ_1, μ_0: their means over the examples, weighted by the labels w and by 1 - w.
    r: the mean of w. Errors that do not depend on x shorten μ_1 - μ_0 and leave its direction. Labels of one
    class alone stay. Marks & Tegmark 2023, "The Geometry of Truth" (mass-mean probing).
    """
    mass = float(labels.sum())
    if mass in (0.0, float(len(labels))):
        return labels
    standard = standardise(features).numpy()
    positive = (labels @ standard) / mass
    negative = ((1 - labels) @ standard) / (len(labels) - mass)
    scores = standard @ (positive - negative)
    return highest(scores, mass / len(labels)).astype(np.float64)
