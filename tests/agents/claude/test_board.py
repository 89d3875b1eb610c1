from collections.abc import Callable

import pytest

from agents.claude.board import Board
from agents.findings.findings import BranchFinding, Findings
from agents.language.proposal import Branch, Proposal
from agents.language.validation import Problem


@pytest.fixture
def board(campaign: Callable[..., Findings], branch: Callable[..., Branch]) -> Board:
    return Board(campaign(branches=[BranchFinding(branch=branch("old", 0.0), round=1, live=True)]))


def proposal(*branches: Branch) -> Proposal:
    return Proposal(branches=branches, rationale="")


def test_a_lane_is_told_what_another_lane_or_round_has_had(
    board: Board, branch: Callable[..., Branch]
) -> None:
    assert board.claim("1", proposal(branch("wide", 0.5)), ()) == []
    first, second = board.claim("2", proposal(branch("mine", 0.52), branch("again", 0.01)), ())
    assert (first.branch, second.branch) == (0, 1)
    assert str(first) == (
        "branches[0].slots: holds nearly the methods of the branch wide of lane 1 in this round "
        "(loss: logconf(aux 0.5 to 1)); propose another reason, or leave it out"
    )
    assert "of the branch old of an earlier round" in second.text


def test_a_lane_may_send_its_own_branch_again(board: Board, branch: Callable[..., Branch]) -> None:
    assert board.claim("1", proposal(branch("a", 0.5)), ()) == []
    assert board.claim("1", proposal(branch("a", 0.5), branch("b", 0.8)), ()) == []
    (twin,) = board.claim("1", proposal(branch("a", 0.5), branch("b", 0.52)), ())
    assert (twin.branch, "branch a of this proposal" in twin.text) == (1, True)


def test_a_branch_that_cannot_run_is_claimed_by_nobody(board: Board, branch: Callable[..., Branch]) -> None:
    wrong = Problem(branch=0, place="branches[0]", text="out of bounds")
    unheard_of = branch("a", 0.5).model_copy(
        update={"slots": (branch("x").slots[0].model_copy(update={"slot": "y"}),)}
    )
    assert board.claim("1", proposal(unheard_of), [wrong]) == []
    assert board.claim("2", proposal(branch("b", 0.5)), ()) == []


def test_what_a_lane_gave_up_is_free_again(board: Board, branch: Callable[..., Branch]) -> None:
    kept, given_up = branch("kept", 0.5), branch("given-up", 0.8)
    assert board.claim("1", proposal(kept, given_up), ()) == []
    board.hold("1", [kept])
    assert board.claim("2", proposal(branch("late", 0.8)), ()) == []
    assert len(board.claim("2", proposal(branch("twin", 0.5)), ())) == 1
