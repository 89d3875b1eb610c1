"""Collapses: seeds on which a method does far worse than on its others, and how often that may happen."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import TypeVar

from trainers.lazy import special

FALL_SDS = 4.0  # seed standard deviations below the median seed
LEAST_FALL = 0.2  # PGR; where seeds hardly differ, small falls are no collapse
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Collapses:
    """The collapses of a method.

    A seed collapsed if its PGR is below `below`: the method's median seed less four standard deviations of
    PGR between seeds, and at least 0.2. If there are two middle seeds, the median is the better one. A method
    that fails on most of its seeds is bad rather than fragile, and its mean says so.
    """

    below: float
    flags: tuple[bool, ...]

    @property
    def count(self) -> int:
        """On how many seeds the method collapsed."""
        return sum(self.flags)

    @property
    def rate_upper95(self) -> float:
        """The upper 95% confidence bound on the share of seeds that collapse."""
        return rate_upper95(self.flags)


def rate_upper95(flags: Sequence[bool]) -> float:
    """The upper 95% confidence bound on how often a flag is set.

    Clopper & Pearson (1934), one-sided: 1 - 0.05^(1 / n) after n flags of which none is set, 31% after eight,
    near the 3 / n of the rule of three.
    """
    count = sum(flags)
    return (
        1.0 if count == len(flags) else float(special.betaincinv(count + 1, len(flags) - count, CONFIDENCE))
    )


Seeds = TypeVar("Seeds")


def steady_variance(
    methods: Sequence[Seeds],
    variance: Callable[[Sequence[Seeds]], float],
    collapsed: Callable[[Seeds, float], bool],
) -> float:
    """The seed variance of the methods that do not collapse by that variance itself.

    methods: what is known of the seeds of each. variance: pools that of some of them; collapsed: whether one
    of them has collapsed if this is the variance.
    """
    while True:
        found = variance(methods)
        left = [method for method in methods if not collapsed(method, found)]
        if len(left) == len(methods):
            return found
        methods = left


def find_collapses(pgrs: Sequence[float], seed_variance: float) -> Collapses:
    """The collapses among a method's seeds. seed_variance: of PGR between seeds that did not collapse."""
    below = median_high(pgrs) - max(LEAST_FALL, FALL_SDS * math.sqrt(seed_variance))
    return Collapses(below=below, flags=tuple(pgr < below for pgr in pgrs))
