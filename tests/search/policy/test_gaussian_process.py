import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from search.policy.gaussian_process import Hyperparameters, Surrogate, _objective, fitted
from search.scoring.pgr import Reals


def test_a_prediction_worked_out_by_hand() -> None:
    # Two points too far apart to know of each other, values 1 and -1. At distance 1 and length 1 the kernel
    # is (1 + 5^0.5 + 5/3) exp(-5^0.5) = 0.523994; with a noise variance of 0.25 the mean is 0.523994 / 1.25
    # and the variance 1 - 0.523994^2 / 1.25.
    parameters = Hyperparameters(lengths=np.ones(1), noise=0.5)
    surrogate = Surrogate(np.array([[0.0], [100.0]]), np.array([1.0, -1.0]), parameters)
    mean, deviation = surrogate.predict(np.array([[1.0], [50.0]]))
    assert mean == pytest.approx([0.419195, 0], abs=1e-4)
    assert deviation == pytest.approx([0.780344**0.5, 1], abs=1e-4)


def test_the_gradient_is_that_of_the_objective() -> None:
    rng = np.random.default_rng(0)
    points, values = rng.random((12, 3)), rng.normal(size=12)
    logs = np.array([-0.5, 0.2, 0.4, -1.0])
    _, gradient = _objective(logs, points, values)
    assert gradient == pytest.approx(
        approx_fprime(logs, lambda at: _objective(at, points, values)[0], 1e-6), abs=1e-3
    )


def test_the_fit_finds_which_dimension_matters_and_how_noisy_it_is() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((120, 2))
    clean = np.sin(9 * points[:, 0])
    found = fitted(points, clean + rng.normal(0, 0.2, 120), Hyperparameters.prior(2))
    assert found.lengths[0] < 0.6 < 1.5 < found.lengths[1]
    assert found.noise == pytest.approx(0.2, rel=0.4)


def test_a_coordinate_that_never_changes_keeps_its_length() -> None:
    rng = np.random.default_rng(3)
    points = np.column_stack([np.full(40, 0.5), rng.random(40)])
    found = fitted(points, np.sin(9 * points[:, 1]), Hyperparameters.prior(2))
    assert found.lengths[0] == Hyperparameters.prior(2).lengths[0]
    assert found.lengths[1] != Hyperparameters.prior(2).lengths[1]


def test_a_mean_over_points_has_the_mean_and_the_variance_of_the_joint_distribution() -> None:
    rng = np.random.default_rng(3)
    seen, values = rng.random((30, 3)), rng.normal(size=30)
    parameters = Hyperparameters(lengths=np.array([0.4, 0.8, 1.5]), noise=0.3)
    surrogate = Surrogate(seen, values, parameters)
    asked = rng.random((2, 5, 3))
    mean, deviation = surrogate.predict_mean(asked)

    def covariance(left: Reals, right: Reals) -> Reals:
        scaled = (left[:, None] - right[None]) / parameters.lengths
        distance = np.sqrt(5 * (scaled**2).sum(axis=-1))
        kernel: Reals = (1 + distance + distance**2 / 3) * np.exp(-distance)
        return kernel

    noisy = covariance(seen, seen) + (parameters.noise**2 + 1e-6) * np.eye(30)
    for place in range(5):
        pair = asked[:, place]
        weights = np.linalg.solve(noisy, covariance(seen, pair)).T
        joint = covariance(pair, pair) - weights @ covariance(seen, pair)
        expected = values.mean() + weights @ (values - values.mean())
        assert mean[place] == pytest.approx(expected.mean())
        assert deviation[place] == pytest.approx(math.sqrt(joint.mean()), rel=1e-6)


def test_the_mean_over_one_point_is_the_point_s() -> None:
    rng = np.random.default_rng(4)
    surrogate = Surrogate(rng.random((20, 2)), rng.normal(size=20), Hyperparameters.prior(2))
    points = rng.random((7, 2))
    for found, expected in zip(surrogate.predict_mean(points[None]), surrogate.predict(points), strict=True):
        assert np.allclose(found, expected)
    twice = surrogate.predict_mean(np.stack([points, points]))
    assert np.allclose(twice[1], surrogate.predict(points)[1])  # the same value twice is no more certain
