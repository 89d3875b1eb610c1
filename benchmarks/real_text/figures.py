"""The figures of a task: accuracies, PGRs and gains over naive, each with its error and every seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search.engine.confirmation import CAMPAIGN_DEGREES_OF_FREEDOM
from search.scoring.pgr import (
    CLEAR_SES,
    Baselines,
    Bools,
    SeedVariance,
    accuracy,
    difference,
    estimate,
    paired_seed_variance,
    pgr,
)

Row = dict[str, Any]


def of_baseline(correct: Bools) -> Row:
    """The accuracy of a baseline over its seeds."""
    found = accuracy(correct)
    return {"acc": found.value, "se": found.se, "per_seed": correct.mean(axis=1).tolist()}


def of_gap(baselines: Baselines) -> Row:
    """Ceiling minus weak floor; clear if it is more than two standard errors above zero."""
    gap = baselines.measured_gap
    return {"value": gap.value, "se": gap.se, "clear": bool(gap.value > CLEAR_SES * gap.se)}


class Statistics:
    """The statistics of methods on the test split, all paired by seed and example with naive.

    The variance between seeds that all methods share moderates that of each, as in a run's confirmation.
    """

    def __init__(
        self, baselines: Baselines, supervisors: Sequence[int], naive: Bools, others: Mapping[str, Bools]
    ) -> None:
        self._baselines = baselines
        self._supervisors = np.array(supervisors)
        self._naive = naive
        found = [paired_seed_variance(correct, naive, baselines).value for correct in others.values()]
        variance = max(0.0, float(np.median(found))) if found else 0.0
        self._prior = SeedVariance(value=variance, free=CAMPAIGN_DEGREES_OF_FREEDOM if found else 0)

    def of_naive(self) -> Row:
        """Accuracy and PGR of naive."""
        return self._of(self._naive)

    def of(self, correct: Bools) -> Row:
        """Accuracy and PGR of a method, and its gain over naive with a one-sided p."""
        gain = self.gain(correct, self._naive)
        return {**self._of(correct), "over_naive": gain["pgr"], "over_naive_se": gain["se"], "p": gain["p"]}

    def gain(self, ours: Bools, theirs: Bools) -> Row:
        """PGR of a method minus that of another, and the one-sided p of no gain."""
        found = difference(ours, theirs, self._supervisors, self._baselines, self._prior)
        return {"pgr": found.value, "se": found.se, "p": found.p_positive}

    def _of(self, correct: Bools) -> Row:
        found, floor, top = (
            estimate(correct, self._supervisors, self._baselines, self._prior),
            self._baselines.weak_acc,
            self._baselines.ceiling_acc,
        )
        return {
            "acc": float(correct.mean()),
            "pgr": found.value,
            "se": found.se,
            "seeds": len(correct),
            "per_seed": [pgr(float(row.mean()), floor, top) for row in correct],
        }
