"""Performance gap recovered (PGR): its formula, standard error and tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainers.lazy import special

Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]

SIGNIFICANT_P = 0.05  # one-sided p value below which a difference counts as shown


CLEAR_SES = 2  # standard errors that a gap must exceed to count as shown


class NoGapError(ValueError):
    """The ceiling is not above the weak floor, or not clearly, so there is no gap to recover."""


LARGER_GAP = (
    "use a stronger strong model, a weaker supervisor (fewer examples: baselines.own_rows) or a longer "
    "ceiling training (strong.optim.epochs)"
)


def pgr(transfer_acc: float, weak_acc: float, ceiling_acc: float) -> float:
    """(transfer - weak) / (ceiling - weak), never clipped (Burns et al., 2023, arXiv:2312.09390).

    Raises NoGapError if the ceiling is not above the weak floor.
    """
    if not ceiling_acc > weak_acc:
        raise NoGapError(
            f"no gap to recover: the ceiling's accuracy {ceiling_acc:.4f} is not above the weak floor's "
            f"{weak_acc:.4f}; {LARGER_GAP}"
        )
    return (transfer_acc - weak_acc) / (ceiling_acc - weak_acc)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate with its standard error and the degrees of freedom of its t distribution."""

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
    def measured_gap(self) -> "Estimate":
        """Ceiling minus weak floor, which may be negative, with the error from seeds and examples."""
        weak, ceiling = self.weak.astype(np.float64), self.ceiling.astype(np.float64)
        examples = ceiling.mean(axis=0) - weak.mean(axis=0)
        return _combine(self.ceiling_acc - self.weak_acc, [weak, ceiling], examples)

    @property
    def gap(self) -> float:
        """Ceiling minus weak floor; raises NoGapError unless it is positive."""
        pgr(self.weak_acc, self.weak_acc, self.ceiling_acc)
        return self.ceiling_acc - self.weak_acc


@dataclass(frozen=True, kw_only=True)
class SeedVariance:
    """Variance of PGR between a method's seeds on `free` degrees of freedom; unknown if `free` is 0."""

    value: float
    free: int


UNKNOWN = SeedVariance(value=0.0, free=0)


def baseline_seed_variance(baselines: Baselines) -> SeedVariance:
    """Estimate the seed variance of students, in PGR, from the seeds of floor and ceiling.

    The estimate is half the mean square difference of two seeds on the same examples, minus the error that
    the examples add to it: the row component of a two-way random-effects model (Cornfield & Tukey 1956),
    pooled over floor and ceiling. A negative estimate counts as zero; single seeds give `free` 0.
    """
    groups = [rows.astype(np.float64) for rows in (baselines.weak, baselines.ceiling) if len(rows) > 1]
    free = sum(len(rows) - 1 for rows in groups)
    squares = sum((len(rows) - 1) * _between(rows) for rows in groups)
    variance = max(0.0, squares / free) / baselines.gap**2 if free else 0.0
    return SeedVariance(value=variance, free=free)


def paired_seed_variance(ours: Bools, theirs: Bools, baselines: Baselines) -> SeedVariance:
    """Estimate the seed variance of a method, in PGR, from two methods with the same seeds, [k, n], k > 1.

    Half the variance of their differences. What seeds and supervisors do to both alike is not in it, and the
    error that the examples add is subtracted. May be negative.
    """
    gains = (ours.astype(np.float64) - theirs) / baselines.gap
    return SeedVariance(value=_between(gains) / 2, free=len(gains) - 1)


def _between(rows: Reals) -> float:
    """Estimated variance between the true means of rows, [k, n] with k > 1; may be negative."""
    return len(rows) * (_variance(rows.mean(axis=1))[0] - _interaction(rows)[0])


def accuracy(correct: Bools, supervisors: NDArray[np.int64] | None = None) -> Estimate:
    """Mean accuracy over seeds and examples, with the error from both. correct: bool [seeds, n].

    supervisors: as for `estimate`; None where every seed stands for itself.
    """
    return _mean(correct.astype(np.float64), supervisors)


def _mean(rows: Reals, supervisors: NDArray[np.int64] | None) -> Estimate:
    independent = rows if supervisors is None else _by_supervisor(rows, supervisors)
    return _combine(float(rows.mean()), [independent], rows.mean(axis=0))


def estimate(
    correct: Bools,
    supervisors: NDArray[np.int64],
    baselines: Baselines,
    prior: SeedVariance = UNKNOWN,
) -> Estimate:
    """PGR of a method over seeds; its standard error covers seeds, examples and baselines.

    correct: bool [k, n], a row per seed. supervisors: int [k], for each seed the row of `baselines.weak` that
    it learned from. prior: what is known of the seed variance of PGR, see `_moderated`. The error follows
    from the delta method on the ratio; see `_ratio` for its parts.
    """
    value = pgr(float(correct.mean()), baselines.weak_acc, baselines.ceiling_acc)
    return _ratio(value, correct, supervisors, baselines, prior, floor=value - 1, ceiling=value)


def difference(
    ours: Bools,
    theirs: Bools,
    supervisors: NDArray[np.int64],
    baselines: Baselines,
    prior: SeedVariance = UNKNOWN,
) -> Estimate:
    """PGR of a method minus the PGR of another, paired by seed and example.

    ours, theirs: bool [k, n], rows with the same seed. supervisors, prior: as for `estimate`; the students of
    a supervisor form a cluster, and a difference varies between seeds like two methods. The error of the gap
    counts in proportion to the difference, so the test of "no difference" does not depend on it.
    """
    gains = ours.astype(np.float64) - theirs
    value, twice = float(gains.mean()) / baselines.gap, replace(prior, value=2 * prior.value)
    return _ratio(value, gains, supervisors, baselines, twice, floor=value, ceiling=value)


def gains_by_supervisor(ours: Bools, theirs: Bools, supervisors: NDArray[np.int64]) -> Reals:
    """The gain in accuracy of each supervisor's students, or of each seed if all have the same supervisor."""
    gains = ours.mean(axis=1) - theirs.mean(axis=1)
    return _by_supervisor(gains[:, None], supervisors)[:, 0]


def accuracy_gain(ours: Bools, theirs: Bools, supervisors: NDArray[np.int64]) -> Estimate:
    """Accuracy of a method minus that of another, paired by seed and example; arguments as `difference`."""
    return _mean(ours.astype(np.float64) - theirs, supervisors)


def _ratio(
    value: float,
    students: Bools | Reals,
    supervisors: NDArray[np.int64],
    baselines: Baselines,
    prior: SeedVariance,
    *,
    floor: float,
    ceiling: float,
) -> Estimate:
    """`value` with the error of its linear form, mean(students + floor * weak - ceiling * ceilings) / gap.

    students: [k, n]. floor, ceiling: by how much the ratio grows with the floor and falls with the ceiling,
    in units of 1 / gap. Sources of variance: examples, shared by all; supervisors, each in a cluster with the
    students that it taught; supervisors without students; ceiling seeds. With a single supervisor, the seed
    part is the variance among its students; the supervisor's own luck is not covered.
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
        idle = (
            math.sqrt(1 - share) * weak
        )  # so that its variance over all is that of supervisors without students
    return _combine(value, [clusters, idle, top], examples, prior)


def _by_supervisor(students: Reals, supervisors: NDArray[np.int64]) -> Reals:
    """A row per supervisor, varying like the mean over seeds; a lone supervisor's rows as they are.

    If all supervisors taught equally many students, the row is the mean over their students.
    """
    taught = np.unique(supervisors)
    if len(taught) == 1:
        return students
    mean, scale = students.mean(axis=0), len(taught) / len(students)
    return np.stack([mean + scale * (students[supervisors == row] - mean).sum(axis=0) for row in taught])


def _combine(
    value: float, groups: Sequence[Reals], examples: Reals, prior: SeedVariance = UNKNOWN
) -> Estimate:
    """A value with the error of a sum of means over independent rows of groups [k, n] and examples [n].

    prior: what is known of the variance between the rows of the first group.
    Rows and examples are both random (two-way random-effects model, Cornfield & Tukey 1956). The variance of
    row means over k and that of column means over n both contain the interaction over k n, so it is
    subtracted once (Owen 2007, "The pigeonhole bootstrap"; Satterthwaite 1946 for the degrees of freedom).
    Noise can push the sum below its largest part; that part is then used alone.
    """
    priors = [prior, *[UNKNOWN] * (len(groups) - 1)]
    known = [(group, given) for group, given in zip(groups, priors, strict=True) if len(group) > 1]
    rows, columns = [_moderated(group, given) for group, given in known], _variance(examples)
    interactions = [(-variance, free) for variance, free in (_interaction(group) for group, _ in known)]
    parts = max([*rows, columns, *interactions], rows, [columns], key=_sum)
    total = _sum(parts)
    if total == 0:
        return Estimate(value=value, se=0.0, df=math.inf)
    df = total**2 / sum(variance**2 / free for variance, free in parts if free)
    return Estimate(value=value, se=math.sqrt(total), df=df)


def _moderated(rows: Reals, prior: SeedVariance) -> tuple[float, int]:
    """The squared error that the rows' own variance gives to their mean, moved towards a prior.

    The moderated variance of Smyth (2004): the prior counts for its degrees of freedom, the rows for theirs.
    Few rows that happen to be alike then neither shrink the error nor leave its degrees of freedom to the
    many examples. What the examples add to the variance between row means is the rows' own.
    """
    variance, free = _variance(rows.mean(axis=1))
    expected = prior.value / len(rows) + _interaction(rows)[0]
    total = prior.free + free
    return (prior.free * expected + free * variance) / total, total


def _sum(parts: Sequence[tuple[float, int]]) -> float:
    return sum(variance for variance, _ in parts)


def _variance(sample: Reals) -> tuple[float, int]:
    """The squared standard error of a sample's mean, and its degrees of freedom."""
    free = len(sample) - 1
    return (float(np.var(sample, ddof=1)) / len(sample) if free else 0.0), free


def _interaction(rows: Reals) -> tuple[float, int]:
    """What the interaction of rows and columns adds to the squared error of the mean of all [k, n]."""
    free = (rows.shape[0] - 1) * (rows.shape[1] - 1)
    if not free:
        return 0.0, 0
    squares = float(np.square(rows - rows.mean(axis=0)).sum()) - rows.shape[1] * float(
        np.square(rows.mean(axis=1) - rows.mean()).sum()
    )
    return max(0.0, squares) / free / rows.size, free
