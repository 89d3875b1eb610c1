import threading
import time
from collections.abc import Callable

import pytest

from agents.claude.lanes import joined, lanes_of, side_by_side
from agents.claude.prompting import directions
from agents.findings.findings import BranchFinding, Findings
from agents.language.proposal import Branch, Proposal


def test_drawn_directions_differ_between_lanes_and_come_again_with_the_seed() -> None:
    lanes = lanes_of(3, 8, (), 7)
    assert [lane.name for lane in lanes] == list("12345678")
    assert len({lane.direction for lane in lanes}) == 8
    assert {lane.direction for lane in lanes} <= set(directions())
    assert lanes == lanes_of(3, 8, (), 7)
    assert lanes != lanes_of(4, 8, (), 7)


def test_given_directions_take_turns() -> None:
    said = [[lane.direction for lane in lanes_of(number, 2, ("x", "y", "z"), 0)] for number in (1, 2, 3)]
    assert said == [["x", "y"], ["z", "x"], ["y", "z"]]


def test_lanes_run_at_the_same_time_and_keep_their_order() -> None:
    barrier = threading.Barrier(4, timeout=10)

    def lane(number: int) -> int:
        barrier.wait()  # no lane passes before all are there
        time.sleep(0.01 * (4 - number))
        return number

    assert side_by_side([lambda i=i: lane(i) for i in range(4)]) == [0, 1, 2, 3]


def test_an_error_in_a_lane_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        side_by_side([lambda: 1, lambda: 1 // 0])


def test_lanes_are_joined_without_twins(
    campaign: Callable[..., Findings], branch: Callable[..., Branch]
) -> None:
    known = campaign(branches=[BranchFinding(branch=branch("old", 0.1), round=1, live=True)])
    first = Proposal(branches=(branch("a", 0.2), branch("b", 0.3)), rationale="one")
    second = Proposal(branches=(branch("a", 0.4), branch("c", 0.3), branch("d", 0.1)), rationale="two")
    whole = joined([("1", first), ("2", second)], known)
    assert [one.name for one in whole.proposal.branches] == ["a", "b", "a-2"]
    assert whole.branches == {"1": ["a", "b"], "2": ["a-2"]}
    assert whole.refused["1"] == []
    assert whole.refused["2"] == [
        "c: holds the same methods as the branch b; change or drop one of the two",
        "d: holds the same methods as the branch old of an earlier round; propose something new",
    ]
    assert whole.proposal.rationale == "Lane 1: one\nLane 2: two"


def test_no_lane_no_branch(campaign: Callable[..., Findings]) -> None:
    assert joined([], campaign()).proposal.branches == ()
