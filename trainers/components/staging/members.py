"""Member components: how many students answer together, and how."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from trainers.component import Component
from trainers.lazy import special

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]


class Single(Component):
    """One student answers."""

    kind: Literal["single"] = "single"

    @property
    def count(self) -> int:
        """How many times the whole sequence of trainings is gone through."""
        return 1


class Ensemble(Component):
    """Several students that differ by seed answer by a mean or median of their log-odds."""

    kind: Literal["ensemble"] = "ensemble"
    count: Annotated[int, Field(ge=2, le=16, description="students, each trained by the whole sequence")] = 3
    aggregate: Annotated[
        Literal["mean", "trimmed", "median"],
        Field(description="of the log-odds; trimmed: the mean without a share at either end"),
    ] = "mean"
    trim: Annotated[
        float, Field(ge=0.05, le=0.4, description="share left out at either end by aggregate trimmed")
    ] = 0.15

    @model_validator(mode="after")
    def _something_is_left_out(self) -> Self:
        if self.aggregate == "trimmed" and left_out(self.count, self.trim) == 0:
            raise ValueError(
                f"trim {self.trim:g} of count {self.count} leaves nobody out: set trim to "
                f"{1 / self.count:.3g} or more, or aggregate to mean"
            )
        return self


Members = Single | Ensemble


def left_out(count: int, trim: float) -> int:
    """How many of so many members a trimmed mean leaves out at either end."""
    return math.floor(trim * count + 1e-9)


def single(config: Single, logits: Reals) -> Reals:
    """The last student's own log-odds.

    One student, as in Burns et al. 2023.
    """
    last: Reals = logits[-1]
    return last


def ensemble(config: Ensemble, logits: Reals) -> Reals:
    """The mean or median of the log-odds of each example, or their mean without floor(trim·m) at either end.

    Lakshminarayanan et al. 2017, "Deep Ensembles"; trimmed by 15%: "Automated Weak-to-Strong Researcher"
    (2026), over 16 seeds. The first member is what a single student would be.
    """
    match config.aggregate:
        case "median":
            found: Reals = np.median(logits, axis=0)
            return found
        case "trimmed":
            out = left_out(len(logits), config.trim)
            return _mean(np.sort(logits, axis=0)[out : len(logits) - out])
        case "mean":
            return _mean(logits)


def _mean(logits: Reals) -> Reals:
    mean: Reals = logits.mean(axis=0)
    return mean


def combined_probs(config: Members, logits: Sequence[Floats]) -> Floats:
    """P(class 1), float32 [n], from the log-odds of members, each float32 [n]; at least one."""
    stacked = np.stack(logits).astype(np.float64)
    return np.asarray(special.expit(MEMBERS[type(config)](config, stacked)), dtype=np.float32)


MEMBERS: dict[type[Component], Callable[[Any, Reals], Reals]] = {Single: single, Ensemble: ensemble}
