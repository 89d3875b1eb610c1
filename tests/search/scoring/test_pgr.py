import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from search.scoring.pgr import (
    Baselines,
    Estimate,
    NoGapError,
    SeedVariance,
    accuracy,
    accuracy_gain,
    baseline_seed_variance,
    difference,
    estimate,
    pgr,
)

NO_SUPERVISORS = np.zeros(1, dtype=np.int64)


def table(*rows: str) -> np.ndarray:
    return np.array([[letter == "1" for letter in row] for row in rows])


# Supervisors are right on a quarter, a half and three quarters of four examples; the ceiling on all.
BASELINES = Baselines(weak=table("1000", "1100", "1110"), ceiling=table("1111", "1111"))
STUDENTS = table("1010", "1111", "1110")  # 0.5, 1, 0.75: 0.75 on average
# Floor 0 and ceiling 1 without error, for what is asked of the students alone.
CERTAIN = Baselines(weak=table(*["0000"] * 4), ceiling=table("1111"))


def test_pgr_is_the_share_of_the_gap() -> None:
    assert pgr(0.7, 0.6, 0.8) == pytest.approx(0.5)
    # Published: Qwen1.5-0.5B-Chat to Qwen3-4B-Base on chat, weak 0.5280, ceiling 0.7325, naive PGR 0.204.
    assert pgr(0.5697, 0.5280, 0.7325) == pytest.approx(0.204, abs=5e-4)


def test_pgr_is_not_clipped() -> None:
    assert pgr(0.5, 0.6, 0.8) == pytest.approx(-0.5)
    assert pgr(0.9, 0.6, 0.8) == pytest.approx(1.5)


@pytest.mark.parametrize("ceiling", [0.6, 0.5, math.nan])
def test_no_gap_is_refused(ceiling: float) -> None:
    with pytest.raises(NoGapError, match=r"no gap to recover: .* is not above the weak floor's 0\.6000"):
        pgr(0.7, 0.6, ceiling)


def test_baselines_without_a_gap_are_refused() -> None:
    with pytest.raises(NoGapError, match="no gap to recover"):
        _ = Baselines(weak=table("11"), ceiling=table("10")).gap


def test_a_gap_has_the_error_of_seeds_and_of_examples_paired() -> None:
    # The ceiling is right on all: the error is that of the floor alone.
    gap = BASELINES.measured_gap
    assert gap.value == 0.5
    assert gap.se == pytest.approx(accuracy(BASELINES.weak).se)
    # What both get right and wrong together is no error of the gap, however few the examples.
    same = Baselines(weak=table("1100", "1100"), ceiling=table("1100", "1100"))
    assert (same.measured_gap.value, same.measured_gap.se) == (0.0, 0.0)
    assert accuracy(same.weak).se > 0
    # Single seeds: differences 0, 0, 1, 1 with variance 1/3, over four examples 1/12.
    single = Baselines(weak=table("1100"), ceiling=table("1111"))
    assert single.measured_gap.se == pytest.approx(math.sqrt(1 / 12))
    below = Baselines(weak=table("1111"), ceiling=table("1100"))
    assert (below.measured_gap.value, below.measured_gap.se) == (-0.5, single.measured_gap.se)


def test_a_gain_in_accuracy_is_paired_by_seed_and_example() -> None:
    ours, theirs = table("1111", "1111"), table("1100", "1100")
    gain = accuracy_gain(ours, theirs, np.array([0, 1]))
    assert gain.value == 0.5
    assert gain.se == pytest.approx(math.sqrt(1 / 12))
    same = accuracy_gain(ours, ours, np.array([0, 1]))
    assert (same.value, same.se, same.p_positive) == (0.0, 0.0, 1.0)


def test_accuracy_has_the_error_of_seeds_and_examples() -> None:
    answer = accuracy(BASELINES.weak)
    # Rows 1/4, 1/2, 3/4: variance 1/16, over 3 seeds 1/48.
    # Columns 1, 2/3, 1/3, 0: variance 5/27, over 4 examples 5/108.
    # Both hold the interaction: squares 3 in all, less 1/2 of rows and 5/3 of columns, over 6 degrees of
    # freedom 5/36, over 12 cells 5/432.
    seeds, examples, both = 1 / 48, 5 / 108, 5 / 432
    assert answer.value == 0.5
    assert answer.se == pytest.approx(math.sqrt(seeds + examples - both))
    free = (seeds + examples - both) ** 2 / (seeds**2 / 2 + examples**2 / 3 + both**2 / 6)
    assert answer.df == pytest.approx(free)


def test_delta_method_on_three_seeds_and_four_examples() -> None:
    answer = estimate(STUDENTS, np.array([0, 1, 2]), BASELINES)
    # Floor 1/2, ceiling 1, students 3/4: PGR V = 1/2, gap 1/2, so that (student + (V-1) floor) / gap is
    #   1 0 2 0,  1 1 2 2,  1 1 1 0 for the three supervisors, with means 3/4, 3/2, 3/4 and 1, 2/3, 5/3, 2/3:
    #   by supervisor  variance 3/16, over 3 supervisors 1/16, 2 degrees of freedom;
    #   by example     variance 2/9, over 4 examples 1/18, 3 degrees of freedom;
    #   interaction    squares 6 - 3/2 - 2, over 6 degrees of freedom and 12 cells 5/144.
    # The ceiling seeds are all alike. 1/16 + 1/18 - 5/144 = 1/12.
    assert answer.value == pytest.approx(0.5)
    assert answer.se == pytest.approx(math.sqrt(1 / 12))
    # Satterthwaite, in units of 1/144: 12^2 / (9^2 / 2 + 8^2 / 3 + 5^2 / 6) = 24 / 11.
    assert answer.df == pytest.approx(24 / 11)
    half = stats.t.ppf(0.975, 24 / 11) * math.sqrt(1 / 12)
    assert answer.ci95 == pytest.approx((0.5 - half, 0.5 + half))


def test_an_error_is_not_below_its_largest_part() -> None:
    # Rows differ in which example they get right only: the interaction, 1/4 over 6 cells, is all there is.
    answer = accuracy(table("100", "010"))
    # Rows are alike; columns 1/2, 1/2, 0: variance 1/12, over 3 1/36, below the interaction of 1/24.
    assert answer.se**2 == pytest.approx(1 / 36)


def test_order_of_the_seeds_does_not_matter() -> None:
    forward = estimate(STUDENTS, np.array([0, 1, 2]), BASELINES)
    backward = estimate(STUDENTS[::-1], np.array([2, 1, 0]), BASELINES)
    assert backward.se == pytest.approx(forward.se)


def test_error_of_the_ceiling_seeds_counts() -> None:
    # Rows that are right on all or on nothing: seeds vary, examples do not. Floor 1/3, ceiling 2/3, students
    # 2/3: V = 1, so that the floor has no part. Students and ceiling seeds are 3, 3, 0 in units of the gap:
    # variance 3, over 3 seeds 1 each.
    all_or_none = table("1111", "1111", "0000")
    answer = estimate(all_or_none, np.arange(3), Baselines(weak=~all_or_none, ceiling=all_or_none))
    assert (answer.value, answer.se**2) == pytest.approx((1, 2))


def test_supervisors_that_taught_no_student_count_for_the_floor_only() -> None:
    weak = table("0000", "0000", "1111", "1111")
    answer = estimate(table("0000", "1111"), np.array([0, 2]), Baselines(weak=weak, ceiling=table("1111")))
    # Students 0 and 1, floor and gap 1/2: V = 0. With s = student / gap (0 and 2), w = floor (0, 0, 1, 1) and
    # a = (V - 1) / gap = -2, the variance of mean(s) + a mean(w) over 2 of 4 supervisors is
    #   var(s) / 2 + a^2 var(w) / 4 + 2 a cov(s, w) / 4 with cov(s, w) = 1 among the two that taught;
    # var(w) is 1/2 among those two and 1/3 among all four: 1 + (1/2 + 1/3) / 2 - 1 = 5/12.
    assert answer.value == pytest.approx(0)
    assert answer.se**2 == pytest.approx(5 / 12)


def test_students_of_one_supervisor_are_one_cluster() -> None:
    weak = table("1000", "1110")
    baselines = Baselines(weak=weak, ceiling=table("1111"))
    single = estimate(table("1100", "1111"), np.array([0, 1]), baselines)
    twice = estimate(table("1100", "1111", "1100", "1111"), np.array([0, 1, 0, 1]), baselines)
    assert twice == single


def test_one_trial_has_the_error_of_its_examples() -> None:
    answer = estimate(STUDENTS[:1], NO_SUPERVISORS, BASELINES)
    # V = 0. By example (student - floor) / gap with floor 1, 2/3, 1/3, 0 is 0, -4/3, 4/3, 0: variance 32/27,
    # over 4 examples 8/27.
    # The floor's seeds: variance 1/16 over 3 and the squared gap; its interaction: 5/432 over the same.
    assert answer.value == 0.0
    assert answer.se**2 == pytest.approx(8 / 27 + 1 / 12 - 5 / 108)


def test_difference_is_the_paired_t_test_where_only_seeds_differ() -> None:
    # In a row all examples gain alike, so that examples do not add to the error.
    ours, theirs = table("1111", "1111", "1111", "0000"), table("0000", "1111", "0000", "0000")
    answer = difference(ours, theirs, np.arange(4), CERTAIN)
    paired = stats.ttest_rel(ours.mean(axis=1), theirs.mean(axis=1), alternative="greater")
    assert answer.value == pytest.approx(0.5)
    assert answer.df == pytest.approx(3)
    assert answer.p_positive == pytest.approx(paired.pvalue)
    both = stats.ttest_rel(ours.mean(axis=1), theirs.mean(axis=1)).confidence_interval(0.95)
    assert answer.ci95 == pytest.approx((both.low, both.high))


def test_difference_is_paired_by_example() -> None:
    ours, theirs = table("1101", "1101"), table("1100", "1100")
    # One example of four is gained by every seed: gains 0, 0, 0, 1; variance 1/4, over 4 1/16.
    answer = difference(ours, theirs, np.arange(2), CERTAIN)
    assert (answer.value, answer.se, answer.df) == pytest.approx((0.25, 0.25, 3))


def test_difference_counts_the_students_of_a_supervisor_as_one() -> None:
    ours, theirs = table("1111", "0000", "1111", "0000"), table("0000", "0000", "0000", "0000")
    clustered = difference(ours, theirs, np.array([0, 1, 0, 1]), CERTAIN)
    # Gains of 1 and 0 PGR by supervisor: variance 1/2, over 2 supervisors 1/4, with one degree of freedom.
    assert (clustered.value, clustered.se, clustered.df) == pytest.approx((0.5, 0.5, 1))
    # The first supervisor taught three of four. They are 3 x 1/4 above the mean gain of 3/4, the other's
    # one 3/4 below it: times 2/4, deviations of 3/8 and -3/8; variance 9/32, over 2 supervisors 9/64.
    uneven = difference(ours[[0, 0, 0, 1]], theirs, np.array([0, 0, 0, 1]), CERTAIN)
    assert (uneven.value, uneven.se**2) == pytest.approx((0.75, 9 / 64))


def test_the_error_of_the_gap_counts_in_proportion_to_the_difference() -> None:
    # Every seed gains all there is: 1 over a gap of 1/2. The floor of 0 and 1 has an error of 1/2, and the
    # difference grows by 2 / (1/2) with it.
    baselines = Baselines(weak=table("0000", "1111"), ceiling=table("1111"))
    whole, nothing = table("1111", "1111"), table("0000", "0000")
    answer = difference(whole, nothing, np.arange(2), baselines)
    assert (answer.value, answer.se) == pytest.approx((2, 2))
    assert difference(whole, whole, np.arange(2), baselines).se == 0


def test_p_values_are_one_sided() -> None:
    assert Estimate(value=2.0, se=1.0, df=math.inf).p_positive == pytest.approx(0.02275, abs=1e-5)
    assert Estimate(value=-2.0, se=1.0, df=math.inf).p_positive == pytest.approx(0.97725, abs=1e-5)
    # The 97.5% point of Student's t with 4 degrees of freedom is 2.776.
    assert Estimate(value=2.776, se=1.0, df=4).p_positive == pytest.approx(0.025, abs=1e-4)


@pytest.mark.parametrize(("value", "p"), [(0.1, 0.0), (0.0, 1.0), (-0.1, 1.0)])
def test_without_error_the_sign_decides(value: float, p: float) -> None:
    certain = Estimate(value=value, se=0.0, df=math.inf)
    assert certain.p_positive == p
    assert certain.ci95 == (value, value)


def test_methods_that_answer_alike_do_not_differ() -> None:
    same = difference(STUDENTS, STUDENTS, np.arange(3), BASELINES)
    assert (same.value, same.se, same.p_positive) == (0.0, 0.0, 1.0)


def campaign(
    rng: np.random.Generator, supervisors: int, seeds: int, n: int = 1000
) -> tuple[np.ndarray, np.ndarray, Baselines]:
    """Students that inherit their supervisor's luck, as a whole and on single examples; true PGR 1/2."""
    easy = rng.uniform(-0.1, 0.1, n)
    luck = rng.uniform(-0.07, 0.07, (supervisors, 1))
    draws = rng.random((supervisors, n))
    weak = draws < 0.7 + luck + easy
    taught = np.arange(seeds) % supervisors
    inherited = rng.random((seeds, n)) < 0.5
    own = rng.uniform(-0.04, 0.04, (seeds, 1))
    student_draws = np.where(inherited, draws[taught], rng.random((seeds, n)))
    students = student_draws < 0.8 + 0.8 * luck[taught] + own + 0.5 * easy
    ceiling = rng.random((supervisors, n)) < 0.9 + 0.5 * easy + rng.uniform(-0.03, 0.03, (supervisors, 1))
    return students, taught, Baselines(weak=weak, ceiling=ceiling)


@pytest.mark.parametrize(("supervisors", "seeds"), [(5, 5), (5, 10), (5, 7), (16, 5)])
def test_intervals_cover_the_truth(supervisors: int, seeds: int) -> None:
    rng = np.random.default_rng(7)
    intervals = [estimate(*campaign(rng, supervisors, seeds)).ci95 for _ in range(500)]
    coverage = np.mean([low <= 0.5 <= high for low, high in intervals])
    assert 0.92 <= coverage <= 0.98


@pytest.mark.parametrize("seeds", [5, 10])
def test_p_values_keep_their_promise_without_a_difference(seeds: int) -> None:
    rng = np.random.default_rng(7)

    def p_value() -> float:
        students, taught, baselines = campaign(rng, 5, seeds)
        flips: Any = rng.random(students.shape) < 0.1
        shift = rng.uniform(-0.08, 0.08, (5, 1))[taught]  # what the second method makes of each supervisor
        others = np.where(flips, rng.random(students.shape) < 0.8 + shift, students)
        unchanged = np.where(flips, rng.random(students.shape) < 0.8 - shift, students)
        return difference(others, unchanged, taught, baselines).p_positive

    rejected = np.mean([p_value() < 0.05 for _ in range(500)])
    assert 0.01 <= rejected <= 0.075


# How seeds differ


def test_the_spread_of_seeds_is_pooled_over_floor_and_ceiling() -> None:
    # Of the weak rows: variance of their means 1/16, less the interaction 5/36 over 4 examples: 1/36, on two
    # degrees of freedom; the ceiling's two rows are alike. (2/36 + 0) / 3, in units of the gap of a half.
    answer = baseline_seed_variance(BASELINES)
    assert answer.free == 3
    assert answer.value == pytest.approx(2 / 36 / 3 * 4)


def test_the_spread_of_seeds_is_that_of_their_paired_differences() -> None:
    rng = np.random.default_rng(3)
    weak = rng.random((4, 50)) < np.array([[0.2], [0.3], [0.5], [0.4]])
    pairs = [
        (float(apart.mean()) ** 2 - float(apart.var(ddof=1)) / 50) / 2
        for i in range(4)
        for j in range(i)
        for apart in [weak[i].astype(float) - weak[j]]
    ]
    baselines = Baselines(weak=weak, ceiling=np.ones((1, 50), dtype=np.bool_))
    assert baseline_seed_variance(baselines).value == pytest.approx(np.mean(pairs) / baselines.gap**2)


def test_the_spread_of_seeds_is_estimated_without_bias() -> None:
    """Two hundred campaigns of five seeds; one standard deviation of PGR between seeds is 0.4."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(200):
        weak, ceiling = (
            rng.random((5, 400)) < np.clip(rng.normal(mean, 0.4 * 0.2, (5, 1)), 0, 1) for mean in (0.5, 0.7)
        )
        variance = baseline_seed_variance(Baselines(weak=weak, ceiling=ceiling))
        gap = float(ceiling.mean() - weak.mean())
        found.append(variance.value * gap**2 / 0.2**2)
    # Each is chi-squared on 8 degrees of freedom: the mean of 200 errs by 0.16 * sqrt(2 / 8 / 200) = 0.006.
    assert np.mean(found) == pytest.approx(0.16, abs=3 * 0.006)


def test_without_further_seeds_nothing_is_known_of_their_spread() -> None:
    alone = Baselines(weak=table("1000"), ceiling=table("1111"))
    assert baseline_seed_variance(alone) == SeedVariance(value=0.0, free=0)


def test_a_spread_of_seeds_below_that_of_the_examples_counts_as_none() -> None:
    # Right on as many examples each, though on different ones.
    assert baseline_seed_variance(Baselines(weak=table("10", "01"), ceiling=table("11"))).value == 0
