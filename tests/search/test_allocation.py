import pytest
from pydantic import ValidationError

from search.allocation import AllocationConfig, BranchState, next_branch


def state(name: str, started: int, best: float | None = None) -> BranchState:
    return BranchState(name=name, started=started, best=best)


def test_without_branches_there_is_no_turn() -> None:
    assert next_branch(AllocationConfig(), []) is None


def test_every_branch_gets_its_floor_first_the_least_tried_before_the_others() -> None:
    config = AllocationConfig(floor=2)
    started = {"one": 0, "two": 0, "three": 0}
    order = []
    for _ in range(6):
        name = next_branch(config, [state(name, count, 0.0) for name, count in started.items()])
        order.append(name)
        started[name] += 1
    assert order == ["one", "two", "three", "one", "two", "three"]


def test_a_new_branch_under_the_floor_comes_before_the_best_one() -> None:
    assert next_branch(AllocationConfig(floor=3), [state("best", 20, 0.9), state("new", 2)]) == "new"


@pytest.mark.parametrize(
    ("spread", "chosen"),
    [
        (0.0, "strong"),
        # 0.6 + s / sqrt(16) against 0.4 + s / sqrt(4): equal at s = 0.8
        (0.79, "strong"),
        (0.81, "fresh"),
    ],
)
def test_hope_shrinks_with_the_root_of_the_trials(spread: float, chosen: str) -> None:
    branches = [state("strong", 16, 0.6), state("fresh", 4, 0.4)]
    assert next_branch(AllocationConfig(spread=spread, floor=1), branches) == chosen


def test_ties_go_to_the_earlier_branch() -> None:
    assert next_branch(AllocationConfig(floor=1), [state("a", 4, 0.3), state("b", 4, 0.3)]) == "a"


def test_a_branch_without_a_result_counts_as_the_worst_with_one() -> None:
    config = AllocationConfig(floor=1, spread=0.0)
    assert next_branch(config, [state("none", 3), state("bad", 3, -0.5), state("good", 3, 0.2)]) == "good"
    assert next_branch(config, [state("bad", 3, -0.5), state("none", 3)]) == "bad"
    assert next_branch(config, [state("none", 3), state("bad", 3, -0.5)]) == "none"


def test_without_any_result_the_least_tried_is_next() -> None:
    assert next_branch(AllocationConfig(floor=1), [state("a", 5), state("b", 4)]) == "b"


@pytest.mark.parametrize("wrong", [{"floor": 0}, {"spread": -0.1}, {"spread": float("nan")}])
def test_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AllocationConfig(**wrong)
