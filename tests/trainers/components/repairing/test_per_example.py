"""The repair that expects mistakes where an example is of a kind that has many."""

from typing import Any

import numpy as np
import pytest

from tests.trainers.components.unasked import unasked
from trainers.components.repairing.per_example import ChannelPerExample, channel_per_example
from trainers.components.repairs import NoisyChannel, noisy_channel
from trainers.components.weak_labels import Evidence, sigmoid

RNG = np.random.default_rng(1)
COUNT = 1500
TRUTH = RNG.random(COUNT) < 0.5
KIND = RNG.random(COUNT) < 0.4  # examples of which half have the wrong label
WEAK = np.where(RNG.random(COUNT) < np.where(KIND, 0.5, 0.05), ~TRUTH, TRUTH).astype(np.float64)
SIDE = np.where(TRUTH, 1.0, -1.0)
FEATURES = np.column_stack(
    [SIDE + RNG.standard_normal(COUNT), 4.0 * KIND + 0.1 * RNG.standard_normal(COUNT), np.ones(COUNT)]
)
MARGINS = 1.2 * SIDE + 1.5 * RNG.standard_normal((2, 1, COUNT))


def evidence(weak: np.ndarray = WEAK, **given: Any) -> Evidence:
    known: dict[str, Any] = {
        "features": lambda: FEATURES,
        "prior": lambda: sigmoid(MARGINS).mean(axis=(0, 1)),
        "margins": lambda: MARGINS,
    }
    return Evidence(weak_probs=weak, seed=3, **known | given)


def right(labels: np.ndarray) -> float:
    return float(((labels > 0.5) == TRUTH).mean())


@pytest.mark.parametrize("prior", ["zero_shot", "head"])
def test_by_features_it_finds_the_kind_that_is_often_wrong(prior: Any) -> None:
    found = channel_per_example(ChannelPerExample(prior=prior, by="features"), evidence())
    constant = noisy_channel(NoisyChannel(prior=prior), evidence())
    assert right(found) > right(constant) + 0.02
    changed = (found > 0.5) != (WEAK > 0.5)
    assert changed[KIND].mean() > 3 * changed[~KIND].mean()


def test_by_doubt_it_trusts_a_sure_label() -> None:
    unsure = np.where(KIND, 0.5 + (WEAK - 0.5) * 0.1, WEAK)
    found = channel_per_example(ChannelPerExample(), evidence(unsure, features=unasked))
    assert right(found) > right(noisy_channel(NoisyChannel(), evidence(unsure))) + 0.02


def test_a_tempered_prior_lets_labels_count_more() -> None:
    full, half = (
        channel_per_example(ChannelPerExample(temper=temper), evidence()) > 0.5 for temper in (1.0, 0.1)
    )
    weak = WEAK > 0.5
    assert (half == weak).mean() > (full == weak).mean()


def test_only_a_head_is_fitted_again() -> None:
    assert ChannelPerExample(iterations=7).passes == 1
    assert ChannelPerExample(prior="head", iterations=7).passes == 7
