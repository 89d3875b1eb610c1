"""Weights and shares by hand; through the components that use them, in test_selection.py."""

import numpy as np
import pytest

from trainers.components.selecting.plans import Phase, Plan, alike, quota, scaled, top, top_by_class, weighed

SCORES = np.array([0.1, 0.4, 0.4, 0.3, 0.2])
CLASSES = np.array([False, True, True, False, True])


def test_a_share_is_rounded_half_up_and_never_to_nothing() -> None:
    assert [quota(share, 5) for share in (0.01, 0.3, 0.5, 1.0)] == [1, 2, 3, 5]


def test_ties_go_to_the_lower_index() -> None:
    assert top(SCORES, 1).tolist() == [False, True, False, False, False]
    assert top(SCORES, 3).tolist() == [False, True, True, True, False]


def test_each_class_has_its_part_of_the_quota() -> None:
    # Three of five: two of class 0 and one of class 1.
    assert top_by_class(SCORES, CLASSES, 0.6).tolist() == [True, True, False, True, False]
    assert top_by_class(SCORES, np.zeros(5, dtype=np.bool_), 0.6).tolist() == top(SCORES, 3).tolist()


def test_graded_weights_rise_with_the_rank_within_a_class() -> None:
    # Both of class 0: ranks 1 and 2 of 2, by 2/3; the one of class 1: 2·1/2.
    graded = weighed("graded", SCORES, CLASSES, 0.6)
    assert graded.weights.tolist() == pytest.approx([2 / 3, 1, 0, 4 / 3, 0])
    assert weighed("equal", SCORES, CLASSES, 0.6).weights.tolist() == [1, 1, 0, 1, 0]
    assert alike(np.array([True, False])).weights.tolist() == [1, 0]


def test_scaled_weights_have_a_mean_of_1_where_they_are_above_0() -> None:
    assert scaled(np.array([0.0, 0.1, 0.3])).weights.tolist() == pytest.approx([0, 0.5, 1.5])
    # Too small for float32: nothing, and not counted.
    assert scaled(np.array([1e-60, 0.2])).weights.tolist() == [0, 1]


def test_wrong_plans_are_refused() -> None:
    ones = np.ones(2, dtype=np.float32)
    with pytest.raises(AssertionError):
        Phase(start=1.0, weights=ones, lr_scale=1)
    with pytest.raises(AssertionError):
        Phase(start=0, weights=0 * ones, lr_scale=1)
    with pytest.raises(AssertionError):
        Phase(start=0, weights=2 * ones, lr_scale=1)
    with pytest.raises(AssertionError):
        Plan(phases=(Phase(start=0.5, weights=ones, lr_scale=1),))
