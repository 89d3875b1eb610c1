"""The inputs of label, repair and selection components, and the arithmetic of probabilities they share.

Ground truth is not among the inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Nearest = tuple[NDArray[np.int64], NDArray[np.float32]]  # indices and similarities, both [n, k]

CLAMP = 1e-6  # distance of probabilities from 0 and 1 before taking logits
SEEDS_OF_A_RUN = 10_000  # the seeds of a run start at a multiple of this


def supervisor_of(seed: int, supervisors: int) -> int:
    """The index of the weak supervisor whose labels a trial with this seed learns from.

    The seeds of a run take turns: its first goes to supervisor 0, the next to supervisor 1.
    """
    return seed % SEEDS_OF_A_RUN % supervisors


def _absent() -> NoReturn:
    raise ValueError("this campaign has no such evidence: see trainers.method.Abilities")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Weak labels of the transfer split, and views of the frozen strong model, computed on first use.

    weak_probs: float [n], the weak supervisor's P(class 1), or what earlier steps have made of it.
    features: () -> float [n, d], the frozen strong model's pooled features; of pairs the difference between
    the order shown and the responses exchanged, in which what both orders share cancels.
    prior: () -> float [n], the strong model's own zero-shot P(class 1).
    margins: () -> float [templates, orders, n], the untouched strong model's zero-shot log-odds of class 1;
    pairs have two orders, as shown and with their responses exchanged, single texts have one.
    consistency: () -> float [n], P of one of the two classes by a probe of the strong model's features that
    was fitted without labels; which class it is, weak labels have to say (`repairing.consistency`).
    spread: () -> float [n], the standard deviation of P(class 1) over the weak models of the supervisor.
    nearest: k -> the nearest others of each example in these features, as `neighbours.nearest` finds them;
    None: nobody has searched for them. seed: the trial's seed, for components that draw at random.
    """

    weak_probs: FloatArray
    features: Callable[[], FloatArray]
    prior: Callable[[], FloatArray]
    margins: Callable[[], FloatArray] = _absent
    consistency: Callable[[], FloatArray] = _absent
    spread: Callable[[], FloatArray] = _absent
    nearest: Callable[[int], Nearest] | None = None
    seed: int

    @property
    def weak(self) -> NDArray[np.float64]:
        """The weak probabilities in float64 [n]."""
        return np.asarray(self.weak_probs, dtype=np.float64)

    def checked_prior(self) -> NDArray[np.float64]:
        """The prior in float64 [n]; raises ValueError unless it lies in [0, 1]."""
        prior = np.asarray(self.prior(), dtype=np.float64)
        check_probabilities("evidence.prior()", prior)
        return prior

    def with_probs(self, probs: FloatArray) -> "Evidence":
        """The evidence with other probabilities in place of the weak supervisor's."""
        return replace(self, weak_probs=probs)


def harden(probs: FloatArray) -> NDArray[np.bool_]:
    """Whether each probability is above .5, i.e. class 1: bool [n]. A tie, .5, is class 0."""
    decisions: NDArray[np.bool_] = np.asarray(probs) > 0.5
    return decisions


def highest(scores: FloatArray, rate: float) -> NDArray[np.bool_]:
    """Whether each score belongs to the highest share: bool [n], about `rate` of them true.

    The threshold is the quantile 1 - rate. Scores that equal it stay together, on the side that brings the
    share nearer to the rate; on neither side, they are in.
    """
    values = np.asarray(scores, dtype=np.float64)
    threshold = np.quantile(values, 1 - rate)
    above, not_below = values > threshold, values >= threshold
    return above if abs(above.mean() - rate) < abs(not_below.mean() - rate) else not_below


def logit(probs: FloatArray) -> NDArray[np.float64]:
    """log(p / (1 - p)), float64 [n], of probabilities clamped to [1e-6, 1-1e-6]."""
    inside = np.clip(np.asarray(probs, dtype=np.float64), CLAMP, 1 - CLAMP)
    logits: NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return logits


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-z)), float64 [n]."""
    probs: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probs


def check_probabilities(name: str, probs: FloatArray) -> None:
    """Raise ValueError, naming the first example at fault, unless all lie in [0, 1]."""
    wrong = ~((np.asarray(probs) >= 0) & (np.asarray(probs) <= 1))
    if wrong.any():
        index = int(wrong.argmax())
        raise ValueError(
            f"{name} must lie in [0, 1], got {probs[index]} for example {index}: give P(class 1)"
        )
