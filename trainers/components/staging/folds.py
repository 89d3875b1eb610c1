"""Folds of the transfer split, for students that predict what they have not learned."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainers.components.selecting.plans import Phase, Plan
from trainers.components.staging.stage import Fold

Rows = NDArray[np.bool_]


def held_out(fold: Fold, count: int, seed: int) -> Rows:
    """Which of `count` examples are held out, bool [count]: a random partition drawn from the seed."""
    parts = np.random.default_rng([seed, fold.of]).permutation(count) % fold.of
    rows: Rows = parts == fold.held_out
    return rows


def without(plan: Plan, rows: Rows) -> Plan:
    """The plan without these examples; the other weights keep their proportions, and a mean of 1.

    A phase that keeps none of the others trains on all of them; where there are no others, it stays.
    """
    return replace(plan, phases=tuple(_without(phase, ~rows) for phase in plan.phases))


def _without(phase: Phase, others: Rows) -> Phase:
    weights = np.where(others, phase.weights, 0)
    if not weights.any():
        weights = others.astype(np.float32) if others.any() else phase.weights
    kept = weights[weights > 0]
    return replace(phase, weights=(weights / kept.mean(dtype=np.float64)).astype(np.float32))
