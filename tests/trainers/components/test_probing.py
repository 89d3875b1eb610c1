"""The cross-fitted probe against the stationarity condition of ridge logistic regression."""

import math

import numpy as np
import pytest
import torch

from trainers.components.probing import CrossFittedProbe, cross_fitted_probs, fit_logistic, standardise


def test_fit_meets_the_stationarity_condition_worked_out_by_hand() -> None:
    # x = +1 with target .9 and x = -1 with target .1: by symmetry c = 0, and the gradient in b is
    # sigmoid(b) - .9 + ridge·b. With ridge = .9 - sigmoid(1) = .1689414 its root is b = 1.
    ridge = 0.9 - 1 / (1 + math.exp(-1))
    weights, intercept = fit_logistic(torch.tensor([[1.0], [-1.0]]), torch.tensor([0.9, 0.1]), ridge=ridge)
    assert float(weights[0]) == pytest.approx(1.0, abs=1e-4)
    assert float(intercept) == pytest.approx(0.0, abs=1e-4)


def test_fit_without_signal_is_the_log_odds_of_the_mean() -> None:
    # The intercept is free of the ridge: P = 3/4 gives c = ln 3.
    weights, intercept = fit_logistic(torch.zeros(4, 2), torch.tensor([1.0, 1.0, 1.0, 0.0]), ridge=5.0)
    assert weights.tolist() == [0, 0]
    assert float(intercept) == pytest.approx(math.log(3), abs=1e-4)


def test_fit_on_a_single_class_stays_finite() -> None:
    weights, intercept = fit_logistic(torch.randn(8, 3), torch.ones(8), ridge=0.1)
    assert weights.isfinite().all()
    assert intercept.isfinite()


def test_an_examples_own_label_does_not_move_its_probability() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((40, 3)), rng.random(40)
    before = cross_fitted_probs(features, labels, seed=5)
    changed = labels.copy()
    changed[7] = 1 - changed[7]
    after = cross_fitted_probs(features, changed, seed=5)
    assert after[7] == before[7]
    assert (after != before).any()


def test_probe_corrects_flipped_labels() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.5
    features = rng.standard_normal((300, 4))
    features[:, 0] += np.where(truth, 3, -3)
    flipped = rng.random(300) < 0.2
    probs = cross_fitted_probs(features, (truth ^ flipped).astype(float), seed=0)
    # Classes 6 standard deviations apart: 99.87% separable, where the labels are right for 80%.
    assert ((probs > 0.5) == truth).mean() > 0.98


def test_probe_is_deterministic_and_draws_its_folds_from_the_seed() -> None:
    rng = np.random.default_rng(2)
    features, labels = rng.standard_normal((30, 2)), rng.random(30)
    first = cross_fitted_probs(features, labels, seed=1)
    assert np.array_equal(first, cross_fitted_probs(features, labels, seed=1))
    assert not np.array_equal(first, cross_fitted_probs(features, labels, seed=2))


def test_fit_meets_the_stationarity_condition_in_every_direction() -> None:
    features, targets = torch.randn(200, 30, generator=torch.manual_seed(0)), torch.rand(200)
    weights, intercept = fit_logistic(features, targets, ridge=0.01)
    errors = torch.sigmoid(features @ weights + intercept) - targets
    assert (features.T @ errors / 200 + 0.01 * weights).abs().max() < 1e-5
    assert abs(errors.mean()) < 1e-5


def test_a_probe_that_has_met_other_targets_says_the_same_as_a_new_one() -> None:
    rng = np.random.default_rng(3)
    features, first, then = rng.standard_normal((60, 20)), rng.random(60), rng.random(60)
    probe = CrossFittedProbe(features)
    probe.probs(first, seed=4)
    assert probe.probs(then, seed=4) == pytest.approx(cross_fitted_probs(features, then, seed=4), abs=1e-4)
    again = probe.probs(then, seed=5)  # other folds: nothing of the old ones may be left in it
    assert np.array_equal(again, cross_fitted_probs(features, then, seed=5))


def test_two_examples_learn_from_each_other_and_one_from_nobody() -> None:
    # With one training example and a huge ridge only the intercept is left, and it goes to the other's label.
    pair = cross_fitted_probs(np.array([[0.0], [1.0]]), np.array([0.2, 0.7]), seed=0, ridge=1e6)
    assert pair.tolist() == pytest.approx([0.7, 0.2], abs=1e-3)
    assert cross_fitted_probs(np.array([[3.0]]), np.array([1.0]), seed=0).tolist() == [0.5]


def test_standardise_by_hand() -> None:
    # Column 0: mean 2, deviation 1. Column 1 is constant and holds rounding error only.
    assert standardise(np.array([[1.0, 0.1], [3.0, 0.1]])).tolist() == [[-1, 0], [1, 0]]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"features must be finite.* 1 of 2 examples.*first of them 1"):
        standardise(np.array([[1.0], [bad]]))
