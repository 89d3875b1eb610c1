import numpy as np
import pytest

from search.policy.observations import Observations, Scoreboard

THIRD = 0.967422  # the normal quantile of 5/6


def board(values: list[float]) -> Scoreboard:
    scores = Scoreboard()
    for i, value in enumerate(values):
        scores.add(np.array([float(i)]), i % 3, value)
    return scores


def observed(values: list[float], most: int = 100) -> Observations:
    return board(values).sample(most, np.random.default_rng(0))


def test_values_are_quantiles_of_ranks_in_the_order_they_came_in() -> None:
    found = observed([30.0, -5.0, 2.0])
    assert found.values == pytest.approx([THIRD, -THIRD, 0], abs=1e-6)
    assert list(found.points[:, 0]) == [0, 1, 2]
    assert list(found.rungs) == [0, 1, 2]


def test_a_failed_trial_ranks_below_all_and_ties_share_their_rank() -> None:
    # Ranks 1, 2.5, 2.5 of 3: the quantiles of 1/6 and of 2/3.
    assert observed([np.nan, 1.0, 1.0]).values == pytest.approx([-THIRD, 0.430727, 0.430727], abs=1e-6)


def test_all_failed_are_all_alike() -> None:
    found = observed([np.nan] * 4)
    assert found.values == pytest.approx([0, 0, 0, 0])


def test_of_many_half_are_the_best_of_each_rung_and_the_others_are_drawn() -> None:
    values = np.random.default_rng(2).permutation(100).astype(float)
    found = observed(list(values), most=20)
    kept = found.points[:, 0].astype(int)
    assert list(kept) == sorted(set(kept))
    assert len(kept) == 20
    for rung in range(3):
        assert set(np.sort(values[rung::3])[-3:]) <= set(values[kept])
    assert min(values[kept]) < 60
    # They keep the rank they have among all: 99 of 100 is the quantile of 0.995.
    assert found.values.max() == pytest.approx(2.575829, abs=1e-6)


def test_of_a_rung_with_few_scores_all_are_kept() -> None:
    scores = Scoreboard()
    for i in range(100):
        scores.add(np.zeros(1), 0, float(i))
    for value in (-3.0, -2.0):
        scores.add(np.zeros(1), 2, value)
    assert list(scores.sample(20, np.random.default_rng(0)).rungs).count(2) == 2


def test_of_few_all_are_kept() -> None:
    assert len(observed([3.0, 1.0], most=2).values) == 2


def test_scores_of_earlier_runs_take_the_room_that_is_left() -> None:
    earlier = Observations(
        points=np.arange(100.0, 104.0)[:, None],
        rungs=np.zeros(4, dtype=np.int64),
        values=np.array([9.0, 8.0, 7.0, 6.0]),
    )
    scores = Scoreboard(earlier=earlier)
    assert (len(scores), scores.known) == (0, 4)
    assert list(scores.sample(10, np.random.default_rng(0)).values) == [9, 8, 7, 6]
    for value in (1.0, 2.0, 3.0):
        scores.add(np.array([value]), 1, value)
    found = scores.sample(5, np.random.default_rng(0))
    assert len(found) == 5
    assert list(found.points[2:, 0]) == [1, 2, 3]
    assert found.values[2:] == pytest.approx([-THIRD, 0, THIRD], abs=1e-6)  # ranked without the earlier ones
    assert set(found.points[:2, 0]) < {100, 101, 102, 103}
    assert len(scores.sample(2, np.random.default_rng(0))) == 2
    assert scores.values == pytest.approx([1, 2, 3])
