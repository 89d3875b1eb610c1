"""Exchanges through the real SDK with a server on loopback."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.claude.conversation import CALLS_AT_ONCE, Conclusion
from agents.findings.findings import BranchFinding, Findings
from agents.language.proposal import Branch, Proposal
from agents.language.validation import Problem
from tests.agents.claude.conftest import NOTES, Propose, names
from tests.servers.messages_api import Scripted, ScriptedClaude, text


def test_the_second_request_reads_the_first_from_the_cache(
    proposer: Propose, campaign: Callable[..., Findings], branch: Callable[..., Branch], spoken: Any
) -> None:
    usage = proposer(NOTES, text(spoken(branch("a")))).propose(campaign()).lanes[0].usage
    assert usage.cache_read_tokens > 0.4 * usage.all_input_tokens
    assert usage.input_tokens == 0


def test_problems_come_back_and_are_put_right(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    known = campaign(branches=[BranchFinding(branch=branch("old"), round=1, live=True)])
    wrong = text(spoken(branch("new", 7.0), branch("again")))
    answer = proposer(wrong, text(spoken(branch("new", 0.7)))).propose(known)
    assert names(answer.proposal.branches) == ["new"]
    assert answer.lanes[0].repairs == 1
    said = claude.asked[1]["messages"][-1]["content"][0]["text"]
    assert "* branches[0].slots[0].options[0].params[0]: loss.logconf.aux must lie in [0, 1], got" in said
    assert "holds the same methods as the branch old of an earlier round" in said


def test_after_two_repairs_the_valid_branches_are_kept_and_the_rest_reported(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    answer = proposer(text(spoken(branch("good"), branch("bad", 7.0)))).propose(campaign())
    assert names(answer.proposal.branches) == ["good"]
    assert len(claude.asked) == 3
    assert answer.lanes[0].repairs == 2
    assert any("must lie in [0, 1]" in reason for reason in answer.lanes[0].refused)


def test_more_branches_than_a_lane_may_have_are_left_out(
    proposer: Propose, campaign: Callable[..., Findings], branch: Callable[..., Branch], spoken: Any
) -> None:
    many = [branch(f"b{i}", i / 5) for i in range(5)]
    answer = proposer(text(spoken(*many)), branches=2).propose(campaign())
    assert names(answer.proposal.branches) == ["b0", "b1"]
    assert "branches: at most 2 branches are taken, got 5" in answer.lanes[0].refused


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (text("", stop="end_turn"), "the answer is empty"),
        (Scripted(content=[]), "the answer is empty"),
        (text('{"branches": [', stop="max_tokens"), "cut off after 100 tokens"),
        (text('{"branches": ['), "Invalid JSON: EOF while parsing"),
        (text("[" * 100_000), "Invalid JSON: recursion limit"),
        (text('{"branches": 3, "rationale": null}'), "branches: Input should be a valid"),
        (text("null"), "proposal: Input should be an object"),
        (text("I would rather not say."), "Invalid JSON"),
    ],
)
def test_an_answer_that_cannot_be_read_is_asked_for_again(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    bad: Scripted,
    said: str,
) -> None:
    answer = proposer(bad, text(spoken(branch("a")))).propose(campaign())
    assert names(answer.proposal.branches) == ["a"]
    assert said in claude.asked[1]["messages"][-1]["content"][0]["text"]


def test_the_tools_are_taken_away_after_the_last_turn(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    proposer(NOTES, NOTES, text(spoken(branch("a"))), tool_turns=1).propose(campaign())
    assert [one["tool_choice"]["type"] for one in claude.asked] == ["auto", "none", "none"]
    result = claude.asked[2]["messages"][-1]["content"][0]
    assert (result["is_error"], result["content"]) == (True, "no tool turn is left: send the proposal now")


def test_few_calls_are_answered_at_once(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    call = {"type": "tool_use", "name": "list_files", "input": {"folder": "", "first": 1}}
    many = Scripted(content=[call | {"id": f"toolu_{i}"} for i in range(50)], stop="tool_use")
    proposer(many, text(spoken(branch("a")))).propose(campaign())
    results = claude.asked[1]["messages"][-1]["content"]
    assert [result["tool_use_id"] for result in results] == [f"toolu_{i}" for i in range(50)]
    assert [result["is_error"] for result in results] == [False] * CALLS_AT_ONCE + [True] * (
        50 - CALLS_AT_ONCE
    )
    assert results[-1]["content"].startswith("at most 6 calls are answered at once")


def test_an_exchange_comes_to_the_branches_that_can_run(branch: Callable[..., Branch]) -> None:
    assert Conclusion().valid(4) is None
    said = Proposal(branches=(branch("bad", 7.0), branch("a"), branch("b"), branch("c")), rationale="why")
    wrong = [Problem(branch=0, place="branches[0]", text="out of bounds")]
    found = Conclusion(proposal=said, problems=wrong).valid(2)
    assert found is not None
    assert (names(found.branches), found.rationale) == (["a", "b"], "why")
    hopeless = [Problem(branch=place, place="branches", text="bad") for place in range(4)]
    assert Conclusion(proposal=said, problems=hopeless).valid(4) is None


@pytest.mark.parametrize("wrapped", ["{}", "```json\n{}\n```", "Here are four:\n{}\nShall I go on?"])
def test_what_cannot_be_read_costs_its_own_branch_and_no_further_request(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    wrapped: str,
) -> None:
    said = json.loads(spoken(*[branch(f"b{i}", i / 5) for i in range(4)]))
    said["branches"][2]["family"] = "magic"
    said["branches"][1]["note"] = "a key of its own"
    answer = proposer(text(wrapped.replace("{}", json.dumps(said)))).propose(campaign())
    assert names(answer.proposal.branches) == ["b0", "b1", "b3"]
    assert len(claude.asked) == 1
    assert [reason.partition(":")[0] for reason in answer.lanes[0].refused] == [
        "branches[1].note",
        "branches[2].family",
    ]


def test_a_repair_that_is_worse_than_the_answer_before_it_is_not_taken(
    proposer: Propose, campaign: Callable[..., Findings], branch: Callable[..., Branch], spoken: Any
) -> None:
    first = text(spoken(branch("a"), branch("b", 0.3), branch("bad", 7.0)))
    answer = proposer(first, text(spoken(branch("bad", 8.0)))).propose(campaign())
    assert names(answer.proposal.branches) == ["a", "b"]
