import numpy as np
import pytest
from scipy import stats

from search.scoring.sign_flip import MOST_UNITS, SignFlip, sign_flip


def test_every_choice_of_signs_counts_once() -> None:
    # Sums over the signs of 1, 2, 4 are all odd numbers from -7 to 7: 5 is reached by 5 and 7.
    assert sign_flip(np.array([-1.0, 2.0, 4.0])) == SignFlip(p=2 / 8, smallest_p=1 / 8, units=3)
    assert sign_flip(np.array([1.0, 2.0, 4.0])) == SignFlip(p=1 / 8, smallest_p=1 / 8, units=3)
    assert sign_flip(np.array([-1.0, -2.0])) == SignFlip(p=1.0, smallest_p=1 / 4, units=2)


def test_equal_sums_are_reached_whatever_their_rounding() -> None:
    assert sign_flip(np.array([0.1, 0.2, -0.3])) == SignFlip(p=5 / 8, smallest_p=1 / 8, units=3)
    found = sign_flip(np.zeros(4))
    assert found is not None
    assert found.p == 1.0


def test_it_agrees_with_the_permutation_test_of_scipy() -> None:
    gains = np.random.default_rng(0).normal(0.3, 1, 8)
    exact = stats.permutation_test(
        (gains,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="greater"
    )
    found = sign_flip(gains)
    assert found is not None
    assert found.p == pytest.approx(exact.pvalue)


def test_many_units_need_no_exact_test() -> None:
    assert sign_flip(np.ones(MOST_UNITS)) is not None
    assert sign_flip(np.ones(MOST_UNITS + 1)) is None
