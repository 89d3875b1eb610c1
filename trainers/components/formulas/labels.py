"""Formulas that make labels: as the first step of the targets, and as a repair."""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainers.components.formulas.evidence import (
    SAYS,
    TRIED_NUMBERS,
    computed,
    random_signals,
    signals_of,
)
from trainers.components.formulas.formula import KEPT, Dialect, Formula
from trainers.components.weak_labels import Evidence, FloatArray

SAME = 1e-5  # labels that differ by less are the same


class _LabelFormula(Formula):
    def senseless(self) -> str | None:
        """Why: it gives all examples one label, whatever its numbers are."""
        return _senseless(self.unnumbered)

    @property
    def forgets(self) -> bool:
        """Whether its labels don't depend on those of the step before."""
        return self.program.names <= {"prior", "density", "spread", "a", "b", "c"}


class LabelFormula(_LabelFormula):
    """New probabilities by an expression over named signals, clipped to [0, 1]; see: formulas."""

    dialect: ClassVar[Dialect] = Dialect(slot="labels", signals=SAYS)
    kind: Literal["formula"] = "formula"
    expression: Annotated[str, Field(description="P(class 1); see: formulas")] = (
        "sigmoid((1 - a) * logit(w) + a * logit(probe))"
    )


class RepairFormula(_LabelFormula):
    """Better labels by an expression over named signals, clipped to [0, 1]; see: formulas."""

    dialect: ClassVar[Dialect] = Dialect(slot="repair", signals=SAYS)
    kind: Literal["formula"] = "formula"
    expression: Annotated[str, Field(description="P(class 1); see: formulas")] = (
        "w + a * abs(w - probe) * (0.5 - w)"
    )

    @property
    def passes(self) -> int:
        """How many times it does what its cost is counted by."""
        return 1


def label_formula(config: LabelFormula | RepairFormula, evidence: Evidence) -> FloatArray:
    """The expression's value, clipped to [0, 1].

    The default of labels adds log-odds, a logarithmic opinion pool (Genest & Zidek 1986) of the weak label
    and an out-of-fold probe; that of repairs smooths a label by how far the probe contradicts it.
    """
    return np.clip(computed(config, signals_of(evidence, config.program.names)), 0, 1)


def random_labels(config: LabelFormula | RepairFormula, *, hard: bool = False) -> FloatArray:
    """Its labels on random evidence, for comparison."""
    return np.clip(computed(config, random_signals(hard=hard)), 0, 1)


@lru_cache(KEPT)
def keeps(config: RepairFormula, *, hard: bool) -> bool:
    """Whether it leaves the labels of the step before as they are. hard: where these are 0 and 1 only."""
    return bool(np.allclose(random_labels(config, hard=hard), random_signals(hard=hard)["w"], atol=SAME))


@lru_cache(KEPT)
def _senseless(config: _LabelFormula) -> str | None:
    tried = (np.clip(computed(config, random_signals(), numbers), 0, 1) for numbers in TRIED_NUMBERS)
    if all(np.ptp(labels) < SAME for labels in tried):
        return "gives all examples the same label on random evidence: scale it to probabilities"
    return None
