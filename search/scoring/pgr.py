"""Performance gap recovered: the only home of the formula and of its standard error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.lazy import special

Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]

SIGNIFICANT_P = 0.05  # one-sided p value below which a difference counts as shown


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
        half = float(special.stdtrit(self.df, 0.975)) * self.se
        return self.value - half, self.value + half

    @property
    def p_positive(self) -> float:
        """One-sided p value of the hypothesis that the true value is not above zero."""
        if self.se == 0:
            return 0.0 if self.value > 0 else 1.0
        return float(special.stdtr(self.df, -self.value / self.se))


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


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """Variance of PGR between the seeds of one method, on `free` degrees of freedom; 0 of them: unknown."""

    variance: float
    free: int


def seed_spread(baselines: Baselines) -> SeedSpread:
    """What floor and ceiling show of it, in PGR: students lie between the two, and have their seeds' luck.

    Half the mean square of the difference of two seeds on the same examples, less the error that the paired
    difference has from the examples: the row component of a two-way random-effects model (Cornfield & Tukey
    1956), pooled over floor and ceiling. One below zero counts as zero; a single seed shows nothing.
    """
    groups = [one.astype(np.float64) for one in (baselines.weak, baselines.ceiling) if len(one) > 1]
    free = sum(len(rows) - 1 for rows in groups)
    squares = sum((len(rows) - 1) * _between(rows) for rows in groups)
    variance = max(0.0, squares / free) / baselines.gap**2 if free else 0.0
    return SeedSpread(variance=variance, free=free)


def _between(rows: Reals) -> float:
    """The variance between the true means of rows, [k, n] with k > 1; may fall below zero."""
    return len(rows) * (_variance(rows.mean(axis=1))[0] - _interaction(rows)[0])


def accuracy(correct: Bools) -> Estimate:
    """Mean accuracy over seeds and examples, with the error of both. correct: bool [seeds, n]."""
    rows = correct.astype(np.float64)
    return _combine(float(rows.mean()), [rows], rows.mean(axis=0))


def estimate(correct: Bools, supervisors: NDArray[np.int64], baselines: Baselines) -> Estimate:
    """PGR of a method over seeds, with a standard error that knows seeds, examples and baselines.

    correct: bool [k, n], one row a seed. supervisors: int [k], the row of `baselines.weak` each seed learned
    from. The error is the delta method's on the ratio; `_ratio` says of what it is made.
    """
    value = pgr(float(correct.mean()), baselines.weak_acc, baselines.ceiling_acc)
    return _ratio(value, correct, supervisors, baselines, floor=value - 1, ceiling=value)


def difference(ours: Bools, theirs: Bools, supervisors: NDArray[np.int64], baselines: Baselines) -> Estimate:
    """PGR of one method minus that of another on the same seeds and examples, paired by both.

    ours, theirs: bool [k, n], rows with the same seed. supervisors: int [k], as for `estimate`; the students
    of one supervisor count as one. The error of the gap counts in proportion to the difference, so that the
    test of "no difference" does not depend on it.
    """
    gains = ours.astype(np.float64) - theirs
    value = float(gains.mean()) / baselines.gap
    return _ratio(value, gains, supervisors, baselines, floor=value, ceiling=value)


def _ratio(
    value: float,
    students: Bools | Reals,
    supervisors: NDArray[np.int64],
    baselines: Baselines,
    *,
    floor: float,
    ceiling: float,
) -> Estimate:
    """`value` with the error of mean(students + floor * weak - ceiling * ceilings) / gap, its linear form.

    students: [k, n]. floor, ceiling: by how much the ratio grows with the floor and falls with the ceiling,
    in units of 1 / gap. What varies: examples, which all share; supervisors, each together with the students
    it taught (a cluster); supervisors that taught none; ceiling seeds. With one supervisor only, the seed
    part is what the students of that supervisor differ by, and what its own luck does to them is not seen.
    """
    gap = baselines.gap
    weak: Reals = floor / gap * baselines.weak.astype(np.float64)
    top: Reals = ceiling / gap * baselines.ceiling.astype(np.float64)
    examples = students.mean(axis=0) / gap + weak.mean(axis=0) - top.mean(axis=0)
    clusters = _by_supervisor(students / gap, supervisors)
    taught, idle = np.unique(supervisors), weak
    if len(taught) > 1:
        share = len(taught) / len(weak)
        clusters = clusters + share * weak[taught]
        idle = math.sqrt(1 - share) * weak  # so that its variance over all is that of the untaught alone
    return _combine(value, [clusters, idle, top], examples)


def _by_supervisor(students: Reals, supervisors: NDArray[np.int64]) -> Reals:
    """One row a supervisor, with the spread of the mean over seeds; a lone supervisor's seeds as they are.

    Where supervisors taught as many students each, that row is their students' mean.
    """
    taught = np.unique(supervisors)
    if len(taught) == 1:
        return students
    mean, scale = students.mean(axis=0), len(taught) / len(students)
    return np.stack([mean + scale * (students[supervisors == one] - mean).sum(axis=0) for one in taught])


def _combine(value: float, groups: Sequence[Reals], examples: Reals) -> Estimate:
    """A value with the error of a sum of means over independent rows of groups [k, n] and examples [n].

    Rows and examples are both drawn at random (a two-way random-effects model, Cornfield & Tukey 1956): the
    variance of row means over k and that of column means over n each hold the interaction over k n, which is
    therefore taken off once (Owen 2007, "The pigeonhole bootstrap"; Satterthwaite 1946 for the degrees of
    freedom). An estimate below its largest part is noise: that part then stands alone.
    """
    groups = [one for one in groups if len(one) > 1]
    rows, columns = [_variance(one.mean(axis=1)) for one in groups], _variance(examples)
    both = [(-variance, free) for variance, free in map(_interaction, groups)]
    parts = max([*rows, columns, *both], rows, [columns], key=_sum)
    total = _sum(parts)
    if total == 0:
        return Estimate(value=value, se=0.0, df=math.inf)
    df = total**2 / sum(variance**2 / free for variance, free in parts if free)
    return Estimate(value=value, se=math.sqrt(total), df=df)


def _sum(parts: Sequence[tuple[float, int]]) -> float:
    return sum(variance for variance, _ in parts)


def _variance(sample: Reals) -> tuple[float, int]:
    """The squared error of a sample's mean, and its degrees of freedom."""
    free = len(sample) - 1
    return (float(np.var(sample, ddof=1)) / len(sample) if free else 0.0), free


def _interaction(rows: Reals) -> tuple[float, int]:
    """What the interaction of rows and columns adds to the squared error of the mean of all, [k, n]."""
    free = (rows.shape[0] - 1) * (rows.shape[1] - 1)
    if not free:
        return 0.0, 0
    squares = float(np.square(rows - rows.mean(axis=0)).sum()) - rows.shape[1] * float(
        np.square(rows.mean(axis=1) - rows.mean()).sum()
    )
    return max(0.0, squares) / free / rows.size, free
