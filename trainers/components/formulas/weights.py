"""Formulas that weigh examples."""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.components.formulas.evidence import (
    SAYS,
    TRIED_NUMBERS,
    Values,
    computed,
    random_signals,
    signals_of,
)
from trainers.components.formulas.formula import KEPT, Dialect, Formula
from trainers.components.weak_labels import Evidence, FloatArray

TARGET = "the training target P(class 1)"
LEAST = 1e-6  # share of the largest weight below which a weight is 0


class WeightFormula(Formula):
    """Weights by an expression over named signals; what it makes 0 or less is dropped; see: formulas."""

    dialect: ClassVar[Dialect] = Dialect(slot="select", signals={**SAYS, "t": TARGET})
    kind: Literal["formula"] = "formula"
    expression: Annotated[str, Field(description="weight of an example; see: formulas")] = (
        "1 - a + a * abs(2 * w - 1) * (1 - abs(w - probe))"
    )

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over, at most: what it drops is not known before."""
        return 1.0

    def senseless(self) -> str | None:
        """Why: it weighs all examples alike whatever its numbers, or by these numbers nothing at all."""
        return _senseless(self.simplest)


def formula_weights(config: WeightFormula, evidence: Evidence, targets: FloatArray) -> NDArray[np.float32]:
    """The expression's value where it is positive, else 0, with a mean of 1 over the positive: float32 [n].

    Weights below a millionth of the largest are 0. The default rises with the weak label's confidence and
    falls where an out-of-fold probe contradicts it. Raises ValueError if all weights are 0.
    """
    signals = signals_of(evidence, config.program.names) | {"t": np.asarray(targets, dtype=np.float64)}
    weights = normalised(computed(config, signals))
    if weights is None:
        raise ValueError(f"select formula weighs every example 0 here: {config.expression}")
    return weights


def normalised(values: Values) -> NDArray[np.float32] | None:
    """The positive values with a mean of 1, and 0 in place of the others; None if there are none."""
    largest = values.max()
    if not largest > 0:
        return None
    shares = np.where(values >= LEAST * largest, values / largest, 0)
    return np.asarray(shares / shares[shares > 0].mean(), dtype=np.float32)


@lru_cache(KEPT)
def weighs_alike(config: WeightFormula, *, hard: bool) -> bool:
    """Whether all random examples get the same weight. hard: where targets are 0 and 1 only."""
    signals = random_signals()
    targets = (signals["t"] > 0.5).astype(np.float64) if hard else signals["t"]
    return _alike(computed(config, {**signals, "t": targets}))


def _alike(values: Values) -> bool:
    weights = normalised(values)
    return weights is None or bool(np.ptp(weights) < 1e-5)


@lru_cache(KEPT)
def _senseless(config: WeightFormula) -> str | None:
    if normalised(computed(config, random_signals())) is None:
        numbers = ", ".join(f"{name} {value:g}" for name, value in config.numbers.items())
        return f"weighs every example 0 on random evidence with {numbers}: make it positive somewhere"
    if all(_alike(computed(config, random_signals(), numbers)) for numbers in TRIED_NUMBERS):
        return "weighs all examples alike on random evidence: set select to all"
    return None
