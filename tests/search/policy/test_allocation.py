import pytest
from pydantic import ValidationError

from search.policy.allocation import AllocationConfig, BranchState, offering_branches


def state(name: str, started: int, best: float | None = None) -> BranchState:
    return BranchState(name=name, started=started, best=best)


ONE = AllocationConfig(floor=1, offering=1)


def test_without_branches_nothing_is_offered() -> None:
    assert offering_branches(AllocationConfig(), []) == []


def test_every_branch_gets_its_floor_first_the_least_tried_before_the_others() -> None:
    config = AllocationConfig(floor=2)
    states = [state(name, 0, 0.0) for name in ("one", "two", "three")]
    order = []
    for _ in range(6):
        [name] = offering_branches(config, states)
        order.append(name)
        next(branch for branch in states if branch.name == name).started += 1
    assert order == ["one", "two", "three", "one", "two", "three"]


def test_a_new_branch_under_the_floor_has_the_offer_to_itself() -> None:
    assert offering_branches(AllocationConfig(floor=3), [state("best", 20, 0.9), state("new", 2)]) == ["new"]


@pytest.mark.parametrize(
    ("spread", "first"),
    [
        (0.0, "strong"),
        # 0.6 + s / sqrt(16) against 0.4 + s / sqrt(4): equal at s = 0.8
        (0.79, "strong"),
        (0.81, "fresh"),
    ],
)
def test_hope_shrinks_with_the_root_of_the_trials(spread: float, first: str) -> None:
    branches = [state("strong", 16, 0.6), state("fresh", 4, 0.4)]
    assert offering_branches(AllocationConfig(spread=spread, floor=1), branches)[0] == first


def test_the_least_hopeful_starve() -> None:
    branches = [state(str(i), 5, pgr) for i, pgr in enumerate((0.1, 0.9, -0.3, 0.5))]
    assert offering_branches(AllocationConfig(offering=2), branches) == ["1", "3"]
    assert offering_branches(AllocationConfig(offering=9), branches) == ["1", "3", "0", "2"]


def test_ties_go_to_the_earlier_branch() -> None:
    assert offering_branches(ONE, [state("a", 4, 0.3), state("b", 4, 0.3)]) == ["a"]


def test_a_branch_without_a_result_counts_as_the_worst_with_one() -> None:
    config = AllocationConfig(floor=1, offering=1, spread=0.0)
    assert offering_branches(config, [state("none", 3), state("bad", 3, -0.5), state("good", 3, 0.2)]) == [
        "good"
    ]
    assert offering_branches(config, [state("bad", 3, -0.5), state("none", 3)]) == ["bad"]
    assert offering_branches(config, [state("none", 3), state("bad", 3, -0.5)]) == ["none"]


def test_without_any_result_the_least_tried_is_next() -> None:
    assert offering_branches(ONE, [state("a", 5), state("b", 4)]) == ["b"]


@pytest.mark.parametrize("wrong", [{"floor": 0}, {"offering": 0}, {"spread": -0.1}, {"spread": float("nan")}])
def test_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AllocationConfig(**wrong)


def test_a_higher_rung_tells_more_than_a_higher_score() -> None:
    branch = BranchState(name="falls")
    best_so_far = [
        branch.add_score(rung, pgr) for rung, pgr in ((0, 0.9), (0, 0.8), (1, 0.5), (0, 1.0), (1, 0.6))
    ]
    assert best_so_far == [True, False, True, False, True]
    assert branch.best == 0.6


def test_a_branch_is_unproven_up_to_the_last_rung() -> None:
    branch = BranchState(name="one")
    branch.reached_or_in_flight[0] = 3
    branch.returned = 2
    assert branch.unproven_rung(floor=3, rungs=3) is None  # too few have returned to say which is the best
    branch.returned = 3
    assert branch.unproven_rung(floor=3, rungs=3) == 1
    branch.reached_or_in_flight[1] = 1
    assert branch.unproven_rung(floor=3, rungs=3) == 2
    branch.reached_or_in_flight[1] = 0  # it failed on its way
    assert branch.unproven_rung(floor=3, rungs=3) == 1
    branch.failed = 3  # and others after it: where methods diverge there is no end to show
    assert branch.unproven_rung(floor=3, rungs=3) is None
    branch.failed = 2
    branch.reached_or_in_flight[1] = branch.reached_or_in_flight[2] = 1
    assert branch.unproven_rung(floor=3, rungs=3) is None
