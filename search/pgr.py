"""Performance gap recovered: the only home of the formula and of its standard error."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]


class NoGapError(ValueError):
    """The ceiling is not above the weak floor, so that no gap can be recovered."""


def pgr(transfer_acc: float, weak_acc: float, ceiling_acc: float) -> float:
    """(transfer - weak) / (ceiling - weak), never clipped (Burns et al., 2023, arXiv:2312.09390).

    Raises NoGapError where the ceiling is not above the weak floor.
    """
    if not ceiling_acc > weak_acc:
        raise NoGapError(
            f"no gap to recover: the ceiling's accuracy {ceiling_acc:.4f} is not above the weak floor's "
            f"{weak_acc:.4f}; use a stronger strong model, a weaker supervisor or a longer ceiling training"
        )
    return (transfer_acc - weak_acc) / (ceiling_acc - weak_acc)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its standard error, and the degrees of freedom of the t distribution behind the two."""

    value: float
    se: float
    df: float

    @property
    def ci95(self) -> tuple[float, float]:
        """The central 95% interval."""
        half = float(stats.t.ppf(0.975, self.df)) * self.se
        return self.value - half, self.value + half

    @property
    def p_positive(self) -> float:
        """One-sided p value of the hypothesis that the true value is not above zero."""
        if self.se == 0:
            return 0.0 if self.value > 0 else 1.0
        return float(stats.t.sf(self.value / self.se, self.df))


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """Which examples of one split each baseline seed got right: weak bool [m, n], ceiling bool [c, n]."""

    weak: Bools
    ceiling: Bools

    @property
    def weak_acc(self) -> float:
        """The weak floor: mean accuracy over supervisor seeds."""
        return float(self.weak.mean())

    @property
    def ceiling_acc(self) -> float:
        """The ceiling: mean accuracy over seeds."""
        return float(self.ceiling.mean())

    @property
    def gap(self) -> float:
        """Ceiling minus floor; raises NoGapError unless it is positive."""
        pgr(self.weak_acc, self.weak_acc, self.ceiling_acc)
        return self.ceiling_acc - self.weak_acc


def accuracy(correct: Bools) -> Estimate:
    """Mean accuracy over seeds and examples, with the error of both. correct: bool [seeds, n]."""
    return _combine(float(correct.mean()), correct.mean(axis=1), correct.mean(axis=0))


def estimate(correct: Bools, supervisors: NDArray[np.int64], baselines: Baselines) -> Estimate:
    """PGR of a method over seeds, with a standard error that knows seeds, examples and baselines.

    correct: bool [k, n], one row a seed. supervisors: int [k], the row of `baselines.weak` each seed learned
    from. The error is the delta method's on the ratio: its influence on each example, and on each supervisor
    seed together with the students it taught (a cluster), on each supervisor that taught none, and on each
    ceiling seed, add up. With one supervisor only, the seed part is what the students of that supervisor
    differ by, and what its own luck does to them is not seen.
    """
    weak_acc, gap = baselines.weak_acc, baselines.gap
    value = pgr(float(correct.mean()), weak_acc, baselines.ceiling_acc)
    examples = (
        correct.mean(axis=0)
        + (value - 1) * baselines.weak.mean(axis=0)
        - value * baselines.ceiling.mean(axis=0)
    ) / gap
    floor = (value - 1) / gap * baselines.weak.mean(axis=1)
    seeds = _by_supervisor(correct.mean(axis=1) / gap, supervisors)
    taught, idle = np.unique(supervisors), floor
    if len(taught) > 1:
        share = len(taught) / len(floor)
        seeds = seeds + share * floor[taught]
        idle = math.sqrt(1 - share) * floor  # so that its variance over all is that of the untaught alone
    return _combine(value, seeds, idle, examples, value / gap * baselines.ceiling.mean(axis=1))


def difference(ours: Bools, theirs: Bools, supervisors: NDArray[np.int64], baselines: Baselines) -> Estimate:
    """PGR of one method minus that of another on the same seeds and examples, paired by both.

    ours, theirs: bool [k, n], rows with the same seed. supervisors: int [k], as for `estimate`; the students
    of one supervisor count as one. The gap counts as known: it scales the difference and its error alike, so
    the test of "no difference" does not depend on it.
    """
    gains = (ours.astype(np.float64) - theirs.astype(np.float64)) / baselines.gap
    return _combine(float(gains.mean()), _by_supervisor(gains.mean(axis=1), supervisors), gains.mean(axis=0))


def _by_supervisor(per_seed: Reals, supervisors: NDArray[np.int64]) -> Reals:
    """One number a supervisor, with the spread of the mean over seeds; a lone supervisor's seeds as they are.

    Where supervisors taught as many students each, that number is their students' mean.
    """
    taught = np.unique(supervisors)
    if len(taught) == 1:
        return per_seed
    mean, scale = float(per_seed.mean()), len(taught) / len(per_seed)
    return np.array([mean + scale * (per_seed[supervisors == one] - mean).sum() for one in taught])


def _combine(value: float, *samples: Reals) -> Estimate:
    """A value whose error is the sum of the independent errors of sample means (Welch-Satterthwaite)."""
    variances = [(float(np.var(one, ddof=1)) / len(one), len(one) - 1) for one in samples if len(one) > 1]
    total = sum(variance for variance, _ in variances)
    if total == 0:
        return Estimate(value=value, se=0.0, df=math.inf)
    df = total**2 / sum(variance**2 / free for variance, free in variances)
    return Estimate(value=value, se=math.sqrt(total), df=df)
