import math

import numpy as np
import pytest
from pydantic import ValidationError

from trainers.components.staging.refine import (
    REFINES,
    Evolve,
    NoRefine,
    agreement,
    evolved_names,
    fitness,
    information,
)
from trainers.components.students import Full, Lora, Probe


def test_information_by_hand() -> None:
    # Sure and even: no entropy, no divergence. All at one half: an entropy of ln 2 each.
    assert information(np.array([0.0, 1.0]), 0.5) == pytest.approx(0, abs=1e-9)
    assert information(np.array([0.5, 0.5]), 0.5) == pytest.approx(-math.log(2))
    # Sure, but three quarters of class 1: the divergence of (3/4, 1/4) from (1/2, 1/2).
    uneven = information(np.array([1.0, 1.0, 1.0, 0.0]), 0.5)
    assert uneven == pytest.approx(-(0.75 * math.log(1.5) + 0.25 * math.log(0.5)))
    assert information(np.array([1.0, 1.0, 1.0, 0.0]), 0.75) == pytest.approx(0, abs=1e-9)
    mixed = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert information(np.array([0.8, 0.2]), 0.5) == pytest.approx(-mixed)


def test_answering_one_class_is_no_way_out() -> None:
    sure = information(np.full(10, 1.0), 0.5)
    assert sure < information(np.linspace(0.1, 0.9, 10), 0.5) + 1e-9
    assert sure == pytest.approx(-math.log(2))
    assert math.isfinite(information(np.full(10, 1.0), 0.0))


def test_agreement_by_hand() -> None:
    # (1 - |.9 - (1 - .3)|) · |2·.8 - 1| = .8 · .6, and (1 - |.5 - .5|) · 0.
    found = agreement(np.array([0.9, 0.5]), np.array([0.3, 0.5]))
    assert found == pytest.approx(0.8 * 0.6 / 2)
    # Always the first answer, whatever the pair: sure of both orders, consistent in none.
    assert agreement(np.ones(5), np.ones(5)) == 0
    assert agreement(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1


def test_both_orders_are_used_where_they_are_at_hand() -> None:
    probs, swapped = np.array([0.9, 0.2], dtype=np.float32), np.array([0.2, 0.7], dtype=np.float32)
    assert fitness(probs, None, 0.4) == information(probs.astype(np.float64), 0.4)
    assert fitness(probs, swapped, 0.4) == agreement(probs.astype(np.float64), swapped.astype(np.float64))


def test_what_moves_of_a_student() -> None:
    assert evolved_names(Probe()) == ("weight", "bias")
    assert evolved_names(Lora()) == ("lora_B", "head.")
    assert evolved_names(Full()) == ()


def test_evaluations_are_two_for_each_pair() -> None:
    assert Evolve(steps=5, pairs=3).evaluations == 30
    assert {config: count(config()) for config, count in REFINES.items()} == {NoRefine: 0, Evolve: 20}


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"pairs": 33}, {"sigma": 0}, {"lr": 0}, {"examples": 15}, {"rate": "third"}]
)
def test_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Evolve.model_validate(wrong)
