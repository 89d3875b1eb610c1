"""The inputs of label and selection components. Ground truth is not among them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


SEEDS_OF_A_RUN = 10_000  # the seeds of a run start at a multiple of this


def supervisor_of(seed: int, supervisors: int) -> int:
    """The index of the weak supervisor whose labels a trial with this seed learns from.

    The seeds of a run take turns: its first goes to supervisor 0, the next to supervisor 1.
    """
    return seed % SEEDS_OF_A_RUN % supervisors


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Weak labels of the transfer split, and views of the frozen strong model, computed on first use.

    weak_probs: float [n], the weak supervisor's P(class 1).
    features: () -> float [n, d], the frozen strong model's pooled features.
    prior: () -> float [n], the strong model's own zero-shot P(class 1).
    seed: the trial's seed, for components that draw at random.
    """

    weak_probs: FloatArray
    features: Callable[[], FloatArray]
    prior: Callable[[], FloatArray]
    seed: int
