import numpy as np
import pytest
from benchmarks.surrogate import Hyperparameters, Surrogate, _objective, fitted, halves, normal_scores
from scipy.optimize import approx_fprime

THIRD = 0.967422  # the normal quantile of 5/6


def exact(n: int) -> np.ndarray:
    return np.zeros(n)


def test_normal_scores_are_quantiles_of_ranks() -> None:
    values, errors = normal_scores(np.array([30.0, -5.0, 2.0]), exact(3))
    assert values == pytest.approx([THIRD, -THIRD, 0], abs=1e-6)
    assert errors == pytest.approx([0, 0, 0])


def test_a_diverged_trial_ranks_below_all_and_ties_share_their_rank() -> None:
    values, _ = normal_scores(np.array([np.nan, 1.0, 1.0]), exact(3))
    # Ranks 1, 2.5, 2.5 of 3: the quantiles of 1/6 and of 2/3.
    assert values == pytest.approx([-THIRD, 0.430727, 0.430727], abs=1e-6)


def test_all_diverged_are_all_alike() -> None:
    values, errors = normal_scores(np.full(4, np.nan), exact(4))
    assert values == pytest.approx([0, 0, 0, 0])
    assert errors == pytest.approx([0, 0, 0, 0])


def test_an_error_becomes_the_step_it_makes_among_the_scores() -> None:
    _, errors = normal_scores(np.array([0.0, 1.0, 2.0, np.nan]), np.array([0.0, 0.5, 1.0, 1.0]))
    # Of four: quantiles of 1/8, 3/8, 5/8, 7/8. The middle score's half step up is (1.15035 - 0.318639) / 2.
    assert errors == pytest.approx([0, 0.415855, 1.15035 - 0.318639, 0], abs=1e-5)


def test_a_prediction_worked_out_by_hand() -> None:
    # Two points too far apart to know of each other, values 1 and -1. At distance 1 and length 1 the kernel
    # is (1 + 5^0.5 + 5/3) exp(-5^0.5) = 0.523994; with a noise variance of 0.25 the mean is 0.523994 / 1.25
    # and the variance 1 - 0.523994^2 / 1.25.
    parameters = Hyperparameters(lengths=np.ones(1), noise=0.5)
    surrogate = Surrogate(np.array([[0.0], [100.0]]), np.array([1.0, -1.0]), exact(2), parameters)
    mean, deviation = surrogate.predict(np.array([[1.0], [50.0]]))
    assert mean == pytest.approx([0.419195, 0], abs=1e-4)
    assert deviation == pytest.approx([0.780344**0.5, 1], abs=1e-4)


def test_an_error_counts_like_noise() -> None:
    points, values = np.array([[0.0], [100.0]]), np.array([1.0, -1.0])
    noisy = Surrogate(points, values, exact(2), Hyperparameters(lengths=np.ones(1), noise=0.5))
    erring = Surrogate(points, values, np.full(2, 0.3), Hyperparameters(lengths=np.ones(1), noise=0.4))
    at = np.array([[0.0], [0.7]])
    assert erring.predict(at)[0] == pytest.approx(noisy.predict(at)[0])


def test_the_gradient_is_that_of_the_objective() -> None:
    rng = np.random.default_rng(0)
    points, values, errors = rng.random((12, 3)), rng.normal(size=12), rng.random(12) * 0.3
    logs = np.array([-0.5, 0.2, 0.4, -1.0])
    _, gradient = _objective(logs, points, values, errors)
    assert gradient == pytest.approx(
        approx_fprime(logs, lambda at: _objective(at, points, values, errors)[0], 1e-6), abs=1e-3
    )


def test_the_fit_finds_which_dimension_matters_and_how_noisy_it_is() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((120, 2))
    clean = np.sin(9 * points[:, 0])
    found = fitted(points, clean + rng.normal(0, 0.2, 120), exact(120), Hyperparameters.prior(2))
    assert found.lengths[0] < 0.6 < 1.5 < found.lengths[1]
    assert found.noise == pytest.approx(0.2, rel=0.4)


def test_halves_keep_the_best_and_draw_of_the_rest() -> None:
    values = np.random.default_rng(2).permutation(100).astype(float)
    kept = halves(values, 20, np.random.default_rng(3))
    assert list(kept) == sorted(set(kept))
    assert len(kept) == 20
    assert set(range(90, 100)) <= set(values[kept])
    assert min(values[kept]) < 60


def test_halves_of_few_are_all() -> None:
    assert list(halves(np.array([3.0, 1.0]), 2, np.random.default_rng(0))) == [0, 1]
