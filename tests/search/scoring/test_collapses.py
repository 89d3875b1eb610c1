from statistics import fmean

import pytest
from scipy import stats

from search.scoring.collapses import find_collapses, steady_variance


def test_a_collapse_is_four_standard_deviations_below_the_median_seed() -> None:
    found = find_collapses([0.5, 0.6, 0.19, 0.55, 0.21], 0.08**2)
    assert found.below == pytest.approx(0.5 - 4 * 0.08)
    assert (found.flags, found.count) == ((False,) * 5, 0)
    assert find_collapses([0.5, 0.6, 0.17, 0.55, 0.21], 0.08**2).flags == (False, False, True, False, False)


def test_of_two_seeds_the_better_is_the_median() -> None:
    assert find_collapses([0.6, -0.9], 0.08**2).flags == (False, True)
    assert find_collapses([0.6, 0.55, -0.9, -0.9], 0.08**2).count == 2
    assert find_collapses([0.6], 0.08**2).count == 0


def test_where_seeds_hardly_differ_small_falls_are_no_collapse() -> None:
    assert find_collapses([0.5, 0.5, 0.31], 0.0).count == 0
    assert find_collapses([0.5, 0.5, 0.29], 0.0).count == 1


@pytest.mark.parametrize(("bad", "seeds"), [(0, 8), (1, 8), (2, 5), (0, 1)])
def test_the_bound_is_the_rate_that_rarely_shows_so_few(bad: int, seeds: int) -> None:
    rate = find_collapses([0.5] * (seeds - bad) + [-0.9] * bad, 0.01).rate_upper95
    assert stats.binom.cdf(bad, seeds, rate) == pytest.approx(0.05)
    if (bad, seeds) == (0, 8):
        assert rate == pytest.approx(0.3123, abs=1e-4)


def test_the_variance_is_that_of_the_methods_that_do_not_collapse_by_it() -> None:
    # By the mean of all, 4, the 10 is out; by that of the others, 2, so is the 5; by 0.5 nothing more is.
    methods = [0.0, 1.0, 5.0, 10.0]
    assert steady_variance(methods, fmean, lambda method, variance: method > 2 * variance) == 0.5
