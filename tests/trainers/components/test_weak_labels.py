import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.components.weak_labels import harden, highest, logit, sigmoid, supervisor_of


def test_supervisors_take_turns_over_the_seeds() -> None:
    assert [supervisor_of(seed, 3) for seed in (0, 1, 2, 3, 4, 1_000_001)] == [0, 1, 2, 0, 1, 1]
    assert supervisor_of(7, 1) == 0


def test_a_tie_is_class_0() -> None:
    assert harden(np.array([0.49, 0.5, 0.51])).tolist() == [False, False, True]


def test_the_highest_share_is_cut_at_its_quantile() -> None:
    # The quantile 3/4 of 1, 2, 3, 4 is 3.25, the median 2.5.
    scores = np.array([3.0, 1.0, 4.0, 2.0])
    assert highest(scores, 0.25).tolist() == [False, False, True, False]
    assert highest(scores, 0.5).tolist() == [True, False, True, False]


def test_equal_scores_stay_together_on_the_side_nearer_to_the_share() -> None:
    # Three of five at the top: all of them are nearer to a half than none; of four, three are as far as none.
    assert highest(np.array([9.0, 9, 9, 1, 2]), 0.5).tolist() == [True, True, True, False, False]
    assert highest(np.array([9.0, 9, 9, 9, 2]), 0.3).tolist() == [False] * 5
    assert highest(np.array([1.0, 1, 1]), 0.5).tolist() == [True] * 3


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30, unique=True), st.floats(0, 1))
def test_without_ties_the_share_is_within_one_example(scores: list[float], rate: float) -> None:
    assert abs(highest(np.array(scores), rate).mean() - rate) <= 1 / len(scores) + 1e-9


def test_log_odds_and_back() -> None:
    assert logit(np.array([0.75, 0.5])).tolist() == pytest.approx([np.log(3), 0])
    assert sigmoid(logit(np.array([0.75, 0.0, 1.0]))).tolist() == pytest.approx([0.75, 1e-6, 1 - 1e-6])
