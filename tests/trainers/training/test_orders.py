"""Answers in both orders, by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from trainers.training.inputs import FeatureInputs
from trainers.training.loop import Diverged
from trainers.training.orders import Asked, answer, logits, logits_in_both_orders

SHOWN = FeatureInputs(features=torch.tensor([[2.0], [-1.0], [0.5]]))
SWAPPED = FeatureInputs(features=torch.tensor([[-2.0], [1.0], [0.3]]))


class Biased(nn.Module):
    """Logits (0, x + 1): it prefers the second position by 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(x), x + 1], dim=1)


@pytest.mark.usefixtures("warm")
def test_an_answer_as_shown_is_the_difference_of_the_logits() -> None:
    assert logits(Biased(), SHOWN).tolist() == [3, 0, 1.5]
    assert answer(Biased(), Asked(shown=SHOWN, swapped=None)).tolist() == [3, 0, 1.5]


@pytest.mark.usefixtures("warm")
def test_an_averaged_answer_is_free_of_a_preference_for_a_position() -> None:
    both = logits_in_both_orders(Biased(), SHOWN, SWAPPED)
    assert both.dtype == np.float32
    np.testing.assert_allclose(both, [[3, 0, 1.5], [-1, 2, 1.3]])
    there = answer(Biased(), Asked(shown=SHOWN, swapped=SWAPPED))
    np.testing.assert_allclose(there, [2, -1, 0.1], rtol=1e-5)
    back = answer(Biased(), Asked(shown=SWAPPED, swapped=SHOWN))
    np.testing.assert_array_equal(back, -there)


@pytest.mark.usefixtures("warm")
def test_it_decides_as_the_mean_of_both_probabilities() -> None:
    rng = np.random.default_rng(0)
    one, other = (
        FeatureInputs(features=torch.from_numpy(3 * rng.standard_normal((200, 1)).astype(np.float32)))
        for _ in range(2)
    )
    both = 1 / (1 + np.exp(-logits_in_both_orders(Biased(), one, other).astype(np.float64)))
    mean = (both[0] + 1 - both[1]) / 2
    assert np.array_equal(answer(Biased(), Asked(shown=one, swapped=other)) > 0, mean > 0.5)


@pytest.mark.usefixtures("warm")
def test_an_answer_that_is_no_number_is_a_divergence() -> None:
    with pytest.raises(Diverged, match="predictions are not numbers"):
        logits(Biased(), FeatureInputs(features=torch.tensor([[math.nan]])))
