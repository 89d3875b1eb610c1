"""A selection by how far the weak models of a supervisor differ."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from trainers.component import Component
from trainers.components.selecting.plans import Plan, Weights, weighed
from trainers.components.weak_labels import Evidence, FloatArray


class Spread(Component):
    """Only the examples on which the weak models of the supervisor differ least."""

    kind: Literal["spread"] = "spread"
    share: Annotated[float, Field(ge=0.01, le=1, description="share of the examples kept")] = 0.5
    balanced: Annotated[bool, Field(description="keep as many of each class")] = False
    weights: Annotated[
        Weights, Field(description="of the kept: alike, or rising as the models differ less")
    ] = "equal"

    @property
    def kept(self) -> float:
        """The share of the examples that an epoch passes over."""
        return self.share


def keep_least_spread(config: Spread, evidence: Evidence, targets: FloatArray) -> Plan:
    """The share with the smallest standard deviation of P(class 1) over models; balanced, as in confidence.

    Disagreement of a committee as doubt: Seung, Opper & Sompolinsky 1992, "Query by Committee"; of an
    ensemble: Lakshminarayanan et al. 2017. A mean near one half may be one that all models share, or the mean
    of models that contradict each other: only the latter is dropped here.
    """
    score = -np.asarray(evidence.spread(), dtype=np.float64)
    classes = np.asarray(targets) > 0.5 if config.balanced else np.zeros(len(score), dtype=np.bool_)
    return Plan(phases=(weighed(config.weights, score, classes, config.share),))
