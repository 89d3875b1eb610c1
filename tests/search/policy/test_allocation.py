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


def test_the_best_counts_wherever_its_training_stopped() -> None:
    branch = BranchState(name="falls")
    assert [branch.add_score(pgr) for pgr in (0.9, 0.8, 0.5, 1.0, 1.0)] == [True, False, False, True, False]
    assert branch.best == 1.0


def test_a_cheap_branch_may_have_more_trials() -> None:
    # Trials take 5.5 s on average. Ten of a cheap branch are worth two of these, ten of a dear one eighteen.
    cheap = BranchState(name="cheap", started=10, seconds=10, best=0.3)
    dear = BranchState(name="dear", started=10, seconds=100, best=0.4)
    assert offering_branches(ONE, [dear, cheap]) == ["cheap"]
    cheap.seconds = 100
    assert offering_branches(ONE, [dear, cheap]) == ["dear"]


def test_a_branch_is_unproven_until_a_trial_trains_to_its_end() -> None:
    branch = BranchState(name="one")
    branch.reached_or_in_flight[0] = 3
    branch.returned = 2
    assert not branch.is_unproven(1, floor=3)  # too few have returned to say which is the best
    branch.returned = 3
    assert branch.is_unproven(1, floor=3)
    branch.reached_or_in_flight[2] = 1  # a method whose second rung says nothing
    assert not branch.is_unproven(1, floor=3)
    assert not branch.is_unproven(2, floor=3)
    branch.reached_or_in_flight[2] = 0  # it failed
    branch.failed = 1
    assert branch.is_unproven(2, floor=3)
    branch.failed = 3
    assert not branch.is_unproven(2, floor=3)
