import math

import pytest

from search.scoring.objective import (
    LEAST_LEFT,
    Objective,
    additive,
    aggregate,
    restored,
    slopes,
    task_weights,
)


@pytest.mark.parametrize(
    ("objective", "expected"), [("mean", 0.4), ("worst", 0.2), ("geometric", 1 - math.sqrt(0.8 * 0.4))]
)
def test_two_tasks_by_hand(objective: Objective, expected: float) -> None:
    assert aggregate([0.2, 0.6], objective) == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["mean", "worst", "geometric", "pooled"])
@pytest.mark.parametrize("pgr", [-1.5, 0.0, 0.3, 0.94])
def test_of_a_single_task_it_is_its_pgr(objective: Objective, pgr: float) -> None:
    assert aggregate([pgr], objective) == pytest.approx(pgr)


def test_the_geometric_mean_is_defined_beyond_the_gap() -> None:
    assert aggregate([1.2], "geometric") == pytest.approx(1 - LEAST_LEFT)
    assert aggregate([1.2, 1.0], "geometric") == aggregate([3.0, 0.99], "geometric")
    assert aggregate([-1.0, 0.5], "geometric") == pytest.approx(0.0)  # twice the gap left, and half of it


def test_halving_what_is_left_counts_the_same_on_an_easy_task_as_on_a_hard_one() -> None:
    assert aggregate([0.0, 0.8], "geometric") == pytest.approx(aggregate([0.5, 0.6], "geometric"))
    assert aggregate([0.0, 0.8], "mean") != pytest.approx(aggregate([0.5, 0.6], "mean"))


@pytest.mark.parametrize("objective", ["mean", "worst", "geometric", "pooled"])
def test_more_on_a_task_is_never_worse(objective: Objective) -> None:
    rising = [aggregate([pgr, 0.3], objective) for pgr in (-2.0, -0.5, 0.0, 0.2, 0.6, 1.0, 1.5)]
    assert rising == sorted(rising)


def test_pooled_is_what_is_recovered_of_all_gaps_together() -> None:
    gaps, gains = {"wide": 0.3, "narrow": 0.1}, {"wide": 0.15, "narrow": -0.05}
    weights = task_weights(gaps, "pooled")
    parts = [weights[task] * gains[task] / gaps[task] for task in gaps]
    assert aggregate(parts, "pooled") == pytest.approx((0.15 - 0.05) / (0.3 + 0.1))
    assert task_weights(gaps, "mean") == {"wide": 1.0, "narrow": 1.0}
    assert task_weights({"only": 0.2}, "pooled") == {"only": 1.0}


def test_a_part_is_undone_by_its_inverse() -> None:
    assert restored(additive(0.3, "geometric"), "geometric") == pytest.approx(0.3)
    assert restored(additive(0.3, "mean"), "mean") == 0.3


def test_no_task_has_no_score() -> None:
    with pytest.raises(ValueError, match="needs the PGR on one at least"):
        aggregate([], "mean")


@pytest.mark.parametrize("objective", ["mean", "geometric", "worst", "pooled"])
@pytest.mark.parametrize("pgrs", [[0.2, 0.6], [-0.4, 0.9, 0.3], [0.99, 0.1]])
def test_a_slope_is_the_derivative(objective: Objective, pgrs: list[float]) -> None:
    small = 1e-6
    for place, slope in enumerate(slopes(pgrs, objective)):
        more = [pgr + small * (i == place) for i, pgr in enumerate(pgrs)]
        difference = aggregate(more, objective) - aggregate(pgrs, objective)
        assert difference / small == pytest.approx(slope, abs=1e-4)
