"""Weak models that label together, against values worked out by hand and a truth that they do not see."""

import numpy as np
import pytest

from trainers.cache import Arrays
from trainers.trial.panels import agreement_weights, estimated_accuracies, pooled, spread


def model(*transfer: float, search: float = 0.5) -> Arrays:
    return {
        "transfer": np.array(transfer, dtype=np.float32),
        "search": np.array([search], dtype=np.float32),
    }


def voters(accuracies: list[float], *, count: int = 4000, rate: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Truth [n], and P(class 1) [m, n] of independent voters with these accuracies."""
    rng = np.random.default_rng(5)
    truth = rng.random(count) < rate
    right = rng.random((len(accuracies), count)) < np.array(accuracies)[:, None]
    return truth, np.where(right == truth, 0.9, 0.1)


def test_a_supervisor_of_one_model_is_that_model() -> None:
    models = [model(0.2, 0.9), model(0.4, 0.1)]
    found = pooled(models, 1, "mean")
    assert all(one is other for one, other in zip(found.supervisors, models, strict=True))
    assert found.spread is None
    assert not found.unanimous


def test_a_panel_says_the_mean_of_its_models_on_every_split() -> None:
    models = [model(0.2, 0.9, search=0.0), model(0.4, 0.1, search=0.5), model(1.0, 1.0), model(0.8, 1.0)]
    found = pooled(models, 2, "mean")
    assert [one["transfer"].tolist() for one in found.supervisors] == [
        pytest.approx([0.3, 0.5]),
        pytest.approx([0.9, 1.0]),
    ]
    assert found.supervisors[0]["search"].tolist() == [0.25]
    assert found.spread is not None
    assert found.spread.tolist() == [pytest.approx([0.1, 0.4]), pytest.approx([0.1, 0.0])]
    assert found.spread.dtype == found.supervisors[0]["transfer"].dtype == np.float32
    assert not found.unanimous


def test_models_that_always_decide_alike_are_unanimous() -> None:
    assert pooled([model(0.2, 0.9), model(0.4, 0.6)], 2, "mean").unanimous


def test_the_spread_is_weighted() -> None:
    # mean .25·0 + .75·1 = .75; variance .25·.5625 + .75·.0625
    assert spread(np.array([[0.0], [1.0]]), np.array([0.25, 0.75])).tolist() == pytest.approx([0.1875**0.5])


@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_accuracies_are_found_without_truth(rate: float) -> None:
    truth, probs = voters([0.9, 0.7, 0.6, 0.55], rate=rate)
    actual = [
        np.mean([(vote > 0.5)[truth == c].mean() * (2 * c - 1) + 1 - c for c in (0, 1)]) for vote in probs
    ]
    assert estimated_accuracies(probs) == pytest.approx(actual, abs=0.03)


def test_weights_follow_the_log_odds_of_accuracies_and_label_better_than_the_mean() -> None:
    truth, probs = voters([0.9, 0.62, 0.6, 0.6, 0.55])
    weights = agreement_weights(probs)
    odds = np.log([0.9 / 0.1, 0.62 / 0.38, 1.5, 1.5, 0.55 / 0.45])
    assert weights.sum() == pytest.approx(1)
    assert weights == pytest.approx(odds / odds.sum(), abs=0.05)
    mean, weighted = ((w @ probs > 0.5) == truth for w in (np.full(5, 0.2), weights))
    assert weighted.mean() > mean.mean() + 0.05


def test_a_model_worse_than_chance_has_no_vote() -> None:
    _, probs = voters([0.9, 0.8, 0.8, 0.2])
    assert agreement_weights(probs)[3] == 0


def test_models_that_say_nothing_have_equal_weights() -> None:
    assert agreement_weights(np.full((3, 8), 0.4)) == pytest.approx([1 / 3] * 3)


def test_weights_of_the_transfer_split_hold_on_the_others() -> None:
    _, probs = voters([0.9, 0.6, 0.6])
    models: list[Arrays] = [
        {"transfer": row.astype(np.float32), "search": np.array([answer], dtype=np.float32)}
        for row, answer in zip(probs, (1.0, 0.0, 0.0), strict=True)
    ]
    (found,) = pooled(models, 3, "weighted").supervisors
    assert found["search"][0] == pytest.approx(agreement_weights(probs)[0], abs=1e-6)
    assert found["search"][0] > 0.5 > pooled(models, 3, "mean").supervisors[0]["search"][0]
