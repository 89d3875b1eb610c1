"""One number of a method's PGRs on several tasks: what the search maximizes. Pure."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

Objective = Literal["mean", "geometric", "worst", "pooled"]

DEFAULT: Objective = "geometric"
SAYS: Mapping[Objective, str] = {
    "mean": "the mean of its PGRs",
    "geometric": "one minus the geometric mean of what is left of each task's gap, 1 - PGR, so that halving "
    "it counts the same on every task",
    "worst": "its lowest PGR",
    "pooled": "what it recovers of all gaps together, so that a task counts by its gap",
}
LEAST_LEFT = 0.05  # of the gap, in the geometric mean: what is recovered beyond 95% counts no more


def task_weights(gaps: Mapping[str, float], objective: Objective) -> dict[str, float]:
    """What the PGR on each task is multiplied by before `aggregate`; 1 in the mean. gaps: above 0, by task.

    pooled: its gap over the mean gap, so that the mean is Σ gain / Σ gap, what is recovered of all gaps
    together: noise in accuracy counts the same on every task, which a small gap would multiply. Otherwise 1.
    """
    mean = fmean(gaps.values())
    return {task: gap / mean if objective == "pooled" else 1.0 for task, gap in gaps.items()}


def aggregate(pgrs: Sequence[float], objective: Objective) -> float:
    """A method's score over tasks, from its PGR on each by `task_weights`; of a single task its PGR.

    mean, pooled: the arithmetic mean. worst: the lowest. geometric: 1 − (Π left)^(1/n), where left = 1 − PGR
    is what remains of a task's gap, at least .05: halving what is left counts the same on an easy task as on
    a hard one. It is defined for PGRs above 1, which count as .95, and below 0, where more is left than the
    gap; so it equals the PGR on one task up to .95, and stops there. Raises ValueError without tasks.
    """
    if not pgrs:
        raise ValueError("a score over tasks needs the PGR on one at least")
    if objective == "worst":
        return min(pgrs)
    return restored(fmean(additive(pgr, objective) for pgr in pgrs), objective)


def additive(pgr: float, objective: Objective) -> float:
    """A task's part of the objective on the scale on which tasks are averaged; PGR itself but for geometric.

    For `geometric` −log(left), which grows with PGR.
    """
    return -math.log(max(1 - pgr, LEAST_LEFT)) if objective == "geometric" else pgr


def restored(mean: float, objective: Objective) -> float:
    """The inverse of `additive`, of a mean over tasks."""
    return 1 - math.exp(-mean) if objective == "geometric" else mean


def slopes(pgrs: Sequence[float], objective: Objective) -> list[float]:
    """By how much the score grows with the PGR on each task: the partial derivatives of `aggregate`.

    worst: 1 for the first of the lowest. geometric: (1 - score) / (n left), 0 beyond `LEAST_LEFT`.
    """
    n = len(pgrs)
    if objective in ("mean", "pooled"):
        return [1 / n] * n
    if objective == "worst":
        lowest = pgrs.index(min(pgrs))
        return [float(place == lowest) for place in range(n)]
    left = 1 - aggregate(pgrs, objective)
    return [left / (n * (1 - pgr)) if 1 - pgr > LEAST_LEFT else 0.0 for pgr in pgrs]
