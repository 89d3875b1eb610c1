"""A probe without labels: the loss by hand, a direction found again, and its sign."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trainers.components.repairing import consistency
from trainers.components.repairing.consistency import consistency_probs, fit_consistency, with_sign

Array = NDArray[np.float64]


def pairs(count: int, width: int, size: float, seed: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Features of pairs in both orders, and which is the better one.

    What both orders share has the same variance in every direction; what tells them apart lies on one.
    """
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.5
    direction = rng.standard_normal(width)
    direction /= np.linalg.norm(direction)
    apart = size * np.where(truth, 1, -1)[:, None] * direction
    common = rng.standard_normal((count, width))
    noise = 0.3 * rng.standard_normal((2, count, width))
    # The second form is also marked as such, which standardising each form takes away.
    return common + apart + noise[0], common - apart + noise[1] + rng.standard_normal(width), truth


def test_the_probe_of_one_feature_is_the_best_of_a_grid() -> None:
    # x⁺ = 1, 1, -1, -1 and x⁻ = -x⁺: in every pair one form has u = σ(b + c) and the other v = σ(c - b);
    # the loss is (u + v - 1)² + min(u, v)² + .005·b², and p = (u + 1 - v)/2 or (v + 1 - u)/2.
    x = np.array([[1.0], [1], [-1], [-1]])
    b, c = np.meshgrid(np.arange(-4, 4, 0.01), np.arange(-2, 2, 0.01))
    u, v = 1 / (1 + np.exp(-b - c)), 1 / (1 + np.exp(b - c))
    losses = (u + v - 1) ** 2 + np.minimum(u, v) ** 2 + 0.005 * b**2
    best = losses.argmin()
    sure = (u.flat[best] + 1 - v.flat[best]) / 2
    probs, loss = fit_consistency(x, -x, seed=0)
    assert loss == pytest.approx(losses.min(), rel=1e-3)
    assert np.ptp([probs[0], probs[1], 1 - probs[2], 1 - probs[3]]) < 1e-6
    assert max(probs) == pytest.approx(max(sure, 1 - sure), abs=5e-3)
    assert max(probs) > 0.8


def test_a_direction_that_weak_labels_know_to_70_percent_is_found_again() -> None:
    shown, swapped, truth = pairs(600, 40, 0.8, seed=1)
    rng = np.random.default_rng(2)
    weak = np.where(truth ^ (rng.random(600) < 0.3), 0.8, 0.2)
    assert ((weak > 0.5) == truth).mean() == pytest.approx(0.7, abs=0.03)
    found = fit_consistency(shown, swapped, seed=0)[0]
    repaired = with_sign(found, weak)
    assert ((repaired > 0.5) == truth).mean() > 0.95
    # Labels that are wrong more often than right turn the sign, and nothing else.
    np.testing.assert_allclose(with_sign(found, 1 - weak), 1 - repaired, atol=1e-12)


def test_the_same_seed_gives_the_same_probe() -> None:
    shown, swapped, _ = pairs(80, 12, 0.4, seed=3)
    one, same, other = (fit_consistency(shown, swapped, seed=seed)[0] for seed in (4, 4, 5))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_exchanging_the_forms_turns_the_answer() -> None:
    shown, swapped, truth = pairs(300, 10, 1.0, seed=6)
    weak = truth.astype(np.float64)
    there = with_sign(fit_consistency(shown, swapped, seed=0)[0], weak)
    back = with_sign(fit_consistency(swapped, shown, seed=0)[0], 1 - weak)
    assert np.abs(there + back - 1).max() < 0.05


def test_the_layer_of_least_loss_answers() -> None:
    blurred, clear = (pairs(300, 10, size, seed=7) for size in (0.1, 2.0))
    layers = [(shown, swapped) for shown, swapped, _ in (blurred, clear)]
    losses = [fit_consistency(*layer, seed=0)[1] for layer in layers]
    assert losses[1] < losses[0]
    assert np.array_equal(consistency_probs(layers, 0), fit_consistency(*layers[1], seed=0)[0])


def test_no_more_than_some_thousand_examples_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "FITTED", 100)
    shown, swapped, truth = pairs(400, 6, 2.0, seed=8)
    repaired = with_sign(fit_consistency(shown, swapped, seed=0)[0], truth.astype(np.float64))
    assert len(repaired) == 400
    assert ((repaired > 0.5) == truth).mean() > 0.95


def test_forms_that_are_alike_tell_nothing() -> None:
    x = np.random.default_rng(0).standard_normal((20, 3))
    assert fit_consistency(x, x, seed=0)[0].tolist() == [0.5] * 20


def test_the_sign_is_that_of_most_weak_labels() -> None:
    probs = [0.9, 0.2, 0.6, 0.4]
    assert with_sign(np.array(probs), np.array([1.0, 0, 0, 0])).tolist() == probs  # three of four agree
    turned = with_sign(np.array(probs), np.array([0.0, 1, 0, 0]))  # one of four
    assert turned.tolist() == pytest.approx([0.1, 0.8, 0.4, 0.6])
    assert with_sign(np.array(probs), np.array([1.0, 1, 0, 0])).tolist() == probs  # a tie


def test_features_that_are_not_finite_are_refused() -> None:
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match="features must be finite, got NaN or infinity in 1 of 3"):
        fit_consistency(x, np.where(np.arange(6).reshape(3, 2) == 3, np.nan, x), seed=0)
