"""Channels that depend on features: by hand, against the constant channel, and on noise of a known kind."""

import numpy as np
import pytest

from trainers.components.repairing.feature_channel import (
    doubts,
    fit_feature_channel,
    refit_with_features,
    standard_columns,
    widest_beside,
)
from trainers.components.repairing.noisy_channel import fit_channel
from trainers.components.weak_labels import sigmoid

RNG = np.random.default_rng(0)
COUNT = 4000
TRUTH = RNG.random(COUNT) < 0.5
ABOUT = RNG.standard_normal((COUNT, 2))
FLIPS = sigmoid(2 * ABOUT[:, 0] - 2)
HARD = np.where(RNG.random(COUNT) < FLIPS, ~TRUTH, TRUTH)
ODDS = 2 / 1.4**2 * (np.where(TRUTH, 1, -1) + 1.4 * RNG.standard_normal(COUNT))
PRIOR = sigmoid(ODDS)


def share_right(posterior: np.ndarray) -> float:
    return float(((posterior > 0.5) == TRUTH).mean())


def test_without_features_it_is_the_constant_channel() -> None:
    found = fit_feature_channel(PRIOR, HARD, np.zeros((COUNT, 2)), 200)
    constant = fit_channel(PRIOR, HARD, 200)
    assert found.posterior == pytest.approx(constant.posterior, abs=2e-3)
    assert sigmoid(found.weights[:, -1]) == pytest.approx(constant.table[:, 1], abs=2e-3)
    assert (found.weights[:, :-1] == 0).all()


def test_noise_that_depends_on_a_feature_is_found() -> None:
    found = fit_feature_channel(PRIOR, HARD, ABOUT, 50)
    # p(ŷ = 1 | 1) = 1 - sigmoid(2φ - 2), p(ŷ = 1 | 0) = sigmoid(2φ - 2); the second feature says nothing
    assert found.weights[1] == pytest.approx([-2, 0, 2], abs=0.35)
    assert found.weights[0] == pytest.approx([2, 0, -2], abs=0.35)
    best = share_right(sigmoid(ODDS + np.where(HARD, 1, -1) * np.log((1 - FLIPS) / FLIPS)))
    constant = share_right(fit_channel(PRIOR, HARD, 50).posterior)
    assert share_right(found.posterior) == pytest.approx(best, abs=0.01)
    assert share_right(found.posterior) > constant + 0.03


def test_the_likelihood_never_falls() -> None:
    def likelihood(iterations: int) -> float:
        weights = fit_feature_channel(PRIOR, HARD, ABOUT, iterations).weights
        rates = sigmoid(weights @ np.column_stack([ABOUT, np.ones(COUNT)]).T)
        read = np.where(HARD, rates, 1 - rates)
        penalty = (weights[:, :-1] ** 2).sum() / 2
        return float(np.log(PRIOR * read[1] + (1 - PRIOR) * read[0]).sum() - penalty)

    steps = [likelihood(iterations) for iterations in range(1, 12)]
    assert (np.diff(steps) > -1e-6).all()
    assert steps[-1] > steps[0] + 10


def test_a_head_is_fitted_to_the_posterior_in_turn() -> None:
    taught: list[np.ndarray] = []

    def prior(targets: np.ndarray) -> np.ndarray:
        taught.append(targets)
        return PRIOR

    found = refit_with_features(prior, HARD.astype(np.float64), ABOUT, 30)
    assert (taught[0] == HARD).all()
    assert (taught[1] != HARD).any()
    assert 2 <= len(taught) < 5, "it ends once nothing changes"
    assert share_right(found.posterior) > share_right(HARD) + 0.05


def test_one_class_of_weak_labels_has_a_finite_channel() -> None:
    found = fit_feature_channel(PRIOR, np.ones(COUNT, dtype=np.bool_), ABOUT, 50)
    assert np.isfinite(found.weights).all()
    assert found.posterior == pytest.approx(PRIOR, abs=0.1)


def test_doubts_are_distances_from_one_half_and_know_no_side() -> None:
    weak, odds = np.array([0.9, 0.5, 0.1, 0.6]), np.array([1.0, -3.0, -1.0, 0.0])
    found = doubts(weak, odds)
    assert found.shape == (4, 2)
    assert found == pytest.approx(doubts(1 - weak, -odds))
    assert found[:, 1] == pytest.approx((np.array([1, 3, 1, 0]) - 1.25) / np.std([1, 3, 1, 0]))
    assert doubts(weak, odds, np.ones(4))[:, 2].tolist() == [0, 0, 0, 0]


def test_the_widest_directions_come_first_and_have_one_scale() -> None:
    shared, odds = RNG.standard_normal((200, 1)), RNG.standard_normal(200)
    values = shared @ np.array([[1.0, 1.0, 1.0, 0.0]]) + 0.1 * RNG.standard_normal((200, 4))
    found = widest_beside(odds, values, 2)
    assert found.shape == (200, 2)
    assert found.std(axis=0) == pytest.approx([1, 1])
    assert abs(np.corrcoef(found[:, 0], values[:, 0])[0, 1]) > 0.95
    assert widest_beside(odds, values[:, :1]).shape == (200, 1)


def test_no_direction_says_what_the_prior_says() -> None:
    odds, other = RNG.standard_normal((2, 200))
    found = widest_beside(odds, np.column_stack([odds, other, odds + other]))
    assert found.shape == (200, 1)
    assert abs(found.T @ odds) / 200 < 0.1
    assert abs(np.corrcoef(found[:, 0], other)[0, 1]) > 0.95


def test_a_constant_column_becomes_0() -> None:
    assert standard_columns(np.array([[2.0], [2.0]])).tolist() == [[0], [0]]
