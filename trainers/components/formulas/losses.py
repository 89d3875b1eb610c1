"""Formulas of losses: over the student's probability and the target, with their own derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.components.formulas.evidence import SAYS, TRIED_NUMBERS, random_signals, signals_of
from trainers.components.formulas.formula import KEPT, Dialect, Formula
from trainers.components.formulas.operations import Array, Dual, sigmoid
from trainers.components.weak_labels import Evidence
from trainers.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

PROGRESS = (0.0, 0.35, 1.0)  # at which a loss is tried
TRIED_ON = 256  # random examples on which it is
PROPORTIONAL = 1e-8  # 1 - cosine of gradients that are taken as proportional
NOTHING = 1e-9  # gradients below it are 0


class LossFormula(Formula):
    """A loss of its own, by an expression over named signals; see: formulas."""

    dialect: ClassVar[Dialect] = Dialect(
        slot="loss",
        signals={
            "f": "the student's P(class 1)",
            "margin": "its logit, log(f / (1 - f))",
            "t": "the training target P(class 1)",
            "progress": "share of the training that is done",
            **SAYS,
            "w": "weak P(class 1) of the supervisor, in every training",
        },
        lone=frozenset({"progress"}),
        flowing=frozenset({"f", "margin"}),
        functions=("ce", "sg"),
    )
    kind: Literal["formula"] = "formula"
    expression: Annotated[str, Field(description="loss of an example; see: formulas")] = (
        "pow(1 - exp(-ce(t)), 4 * a) * ce(t)"
    )

    @property
    def evidence(self) -> frozenset[str]:
        """The signals that it takes of what is known of an example beside its target."""
        return self.program.names & SAYS.keys()

    @property
    def couples(self) -> bool:
        """Whether an example's loss depends on the rest of its batch."""
        return self.program.whole

    def senseless(self) -> str | None:
        """Why: whatever its numbers, it has no gradient or cross-entropy's."""
        return _senseless(self.unnumbered)


def evidence_of(config: LossFormula, evidence: Evidence) -> dict[str, NDArray[np.float32]]:
    """What it takes of the evidence, float32 [n] each: nothing else is computed."""
    found = signals_of(evidence, sorted(config.evidence))
    return {name: np.asarray(values, dtype=np.float32) for name, values in found.items()}


def formula_loss(
    config: LossFormula,
    log_probs: Tensor,
    weak: Tensor,
    progress: float,
    evidence: Mapping[str, Tensor] = MappingProxyType({}),
) -> Tensor:
    """The expression's value, whose gradient in the logit is the formula's own derivative.

    evidence: the signals of `LossFormula.evidence`, [n] each, of the given batch.

    Functions over all examples take those of the given batch, and let no gradient pass. The default is the
    focal loss of Lin et al. 2017 (arXiv:1708.02002), (1 - p)^γ·CE(t) with p = exp(-CE(t)) and γ = 4a.
    """
    margin = log_probs[:, 1] - log_probs[:, 0]
    fixed = margin.detach()

    def constant(number: float) -> Tensor:
        return torch.full((), number, dtype=fixed.dtype, device=fixed.device)  # no wait for the device

    known = {name: values.to(fixed) for name, values in evidence.items()}
    found = _evaluated(config, fixed, weak, known, progress, config.numbers, constant, torch)
    slope = torch.zeros_like(fixed) if found.slope is None else found.slope
    value: Tensor = found.value + slope * (margin - fixed)
    return value


def _evaluated(
    config: LossFormula,
    margin: Array,
    targets: Array,
    evidence: Mapping[str, Array],
    progress: float,
    numbers: Mapping[str, float],
    constant: Callable[[float], Array],
    xp: Any,
) -> Dual:
    """Value and derivative in the margin, both [n] but for a derivative that is a scalar or None."""
    f = sigmoid(xp, margin)
    # log f = min(m, 0) - log(1 + exp(-|m|)), exact where f is rounded to 0 or 1.
    rest = xp.log1p(xp.exp(-xp.abs(margin)))
    known = {
        "f": Dual(f, f * (1 - f)),
        "margin": Dual(margin, xp.ones_like(margin)),
        "log f": Dual(xp.clip(margin, None, 0.0) - rest, 1 - f),
        "log 1-f": Dual(xp.clip(-margin, None, 0.0) - rest, -f),
        "t": Dual(targets),
        "progress": Dual(constant(progress)),
    }
    known |= {name: Dual(values) for name, values in evidence.items()}
    return config.program.evaluate(
        known | {name: Dual(constant(number)) for name, number in numbers.items()}, constant, xp
    )


# What a formula computes on random logits and targets


def _random(*, hard: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Margins, half of them nearly undecided, and targets, some of them 0, ½ and 1; hard: 0 and 1 only."""
    rng = np.random.default_rng(7)
    margins = rng.standard_normal(TRIED_ON) * np.where(np.arange(TRIED_ON) % 2, 3.0, 0.1)
    targets = rng.uniform(size=TRIED_ON)
    targets[::5] = rng.choice([0.0, 0.5, 1.0], size=len(targets[::5]))
    return margins, (targets > 0.5).astype(np.float64) if hard else targets


def _slopes(
    config: LossFormula,
    progress: float,
    *,
    hard: bool,
    numbers: Mapping[str, float] | None = None,
    at_own: bool = False,
) -> NDArray[np.float64]:
    """Derivatives of all random examples. at_own: the targets are the student's own probabilities."""
    margins, targets = _random(hard=hard)
    targets = sigmoid(np, margins) if at_own else targets
    evidence = {name: values[:TRIED_ON] for name, values in random_signals().items() if name in SAYS}
    given = numbers or config.numbers
    slope = _evaluated(config, margins, targets, evidence, progress, given, np.float64, np).slope
    found: NDArray[np.float64] = np.zeros_like(margins) + (0.0 if slope is None else slope)
    return found


@lru_cache(KEPT)
def _senseless(config: LossFormula) -> str | None:
    tried = (_slopes(config, at, hard=False, numbers=n) for n in TRIED_NUMBERS for at in PROGRESS)
    if all(np.abs(slopes).max() < NOTHING for slopes in tried):
        return "has no gradient on random logits and targets: use f, margin or ce(..) outside of sg"
    if always_like_xent(config, hard=False):
        return "has a gradient proportional to that of ce(t): set loss to xent"
    return None


@lru_cache(KEPT)
def like_xent(config: LossFormula, *, hard: bool) -> bool:
    """Whether its gradient is cross-entropy's times a constant, at all times of the training."""
    return _all_like_xent(config, hard, config.numbers)


@lru_cache(KEPT)
def always_like_xent(config: LossFormula, *, hard: bool) -> bool:
    """Whether it is so whatever its numbers are."""
    return all(_all_like_xent(config, hard, numbers) for numbers in TRIED_NUMBERS)


def _all_like_xent(config: LossFormula, hard: bool, numbers: Mapping[str, float]) -> bool:
    margins, targets = _random(hard=hard)
    xent = sigmoid(np, margins) - targets
    return all(_proportional(_slopes(config, at, hard=hard, numbers=numbers), xent) for at in PROGRESS)


def _proportional(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether one is a constant times the other, or zero."""
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return length < NOTHING or 1 - abs(float(one @ other)) / length < PROPORTIONAL


@lru_cache(KEPT)
def has_gradient(config: LossFormula) -> bool:
    """Whether it has one at some time of the training."""
    return any(np.abs(_slopes(config, at, hard=False)).max() > NOTHING for at in PROGRESS)


@lru_cache(KEPT)
def minimal_at_own_predictions(config: LossFormula) -> bool:
    """Whether its gradient vanishes where the student's probabilities equal the targets."""
    return all(np.abs(_slopes(config, at, hard=False, at_own=True)).max() < NOTHING for at in PROGRESS)
