"""What a training learns in both orders, by hand."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from trainers.components.orders import BothOrders, PlainInputs, in_orders
from trainers.components.selecting.plans import Phase, Plan
from trainers.components.stages import TrainingTargets

HALF = Phase(start=0.5, weights=np.ones(3, dtype=np.float32), lr_scale=0.3)
FIRST = Phase(start=0.0, weights=np.array([0.5, 0, 1.5], dtype=np.float32), lr_scale=1.0)


def keep_half(progress: float) -> float:
    return 0.5


LEARNED = TrainingTargets(
    targets=np.array([1, 0, 0.75], dtype=np.float32),
    plan=Plan(phases=(FIRST, HALF), keep_share=keep_half),
)


def test_an_exchanged_pair_has_the_mirrored_target_and_the_same_weight() -> None:
    both = in_orders(BothOrders(), LEARNED)
    assert both.targets.tolist() == [1, 0, 0.75, 0, 1, 0.25]
    assert both.targets.dtype == np.float32
    first, half = both.plan.phases
    assert first.weights.tolist() == [0.5, 0, 1.5, 0.5, 0, 1.5]
    assert (first.start, first.lr_scale) == (0, 1)
    assert half.weights.tolist() == [1] * 6
    assert (half.start, half.lr_scale) == (0.5, 0.3)
    assert both.plan.keep_share is keep_half


def test_what_is_known_of_a_pair_is_mirrored_where_it_is_a_probability_of_class_1() -> None:
    known = {name: np.array([0.25, 0.5, 1], dtype=np.float32) for name in ("w", "density")}
    both = in_orders(BothOrders(), replace(LEARNED, evidence=known))
    assert {name: values.tolist() for name, values in both.evidence.items()} == {
        "w": [0.25, 0.5, 1, 0.75, 0.5, 0],
        "density": [0.25, 0.5, 1, 0.25, 0.5, 1],
    }


def test_plain_inputs_leave_all_as_it_is() -> None:
    assert in_orders(PlainInputs(), LEARNED) is LEARNED
    assert in_orders(PlainInputs(answer="averaged"), LEARNED) is LEARNED


def test_how_often_each_example_is_passed() -> None:
    passes = {
        (config.trained, config.answered)
        for config in (
            PlainInputs(),
            PlainInputs(answer="averaged"),
            BothOrders(answer="as_shown"),
            BothOrders(),
        )
    }
    assert passes == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert (BothOrders().trained, BothOrders().answered) == (2, 2)  # as published


def test_an_answer_in_another_order_is_refused() -> None:
    with pytest.raises(ValidationError, match="as_shown"):
        PlainInputs.model_validate({"answer": "swapped"})
