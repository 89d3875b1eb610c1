"""A critic between a lane's proposal and its trials, through the real SDK with a server on loopback."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.claude.advice.critic import new_critic
from agents.claude.board import Board
from agents.claude.budget import Budget, MemoryAccount
from agents.claude.transcript import Received, read_transcript
from agents.findings.findings import Findings
from agents.findings.round_proposal import RoundProposal
from agents.language.proposal import Branch
from agents.prices import PRICES
from agents.settings import ClaudeConfig, CriticConfig
from tests.agents.claude.conftest import Propose, names
from tests.servers.messages_api import Body, Scripted, ScriptedClaude, in_turn, refusal, text

CRITIC = "claude-sonnet-5-5"


def verdict(**kept: bool) -> Scripted:
    """A review of each branch; False for one that only repeats what was tried."""
    reviews = [
        {"branch": name, "differs": keep, "holds": True, "refuted_by": "no gain", "why": "I looked."}
        for name, keep in kept.items()
    ]
    return text(json.dumps({"reviews": reviews}))


@pytest.fixture
def criticised(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings]
) -> Callable[..., RoundProposal]:
    """criticised(refused, proposals, reviews, ...): what comes of a round whose critic has these answers."""

    def ask(
        refused: str, proposals: list[Scripted], reviews: list[Scripted], **settings: Any
    ) -> RoundProposal:
        proposing, reviewing = in_turn(*proposals), in_turn(*reviews)

        def answer(body: Body) -> Scripted:
            return reviewing(body) if body["model"] == CRITIC else proposing(body)

        claude.answer = answer
        critic = CriticConfig(model=CRITIC, refused=refused)  # type: ignore[arg-type]
        return proposer(critic=critic, **settings).propose(campaign())

    return ask


def by_critic(claude: ScriptedClaude) -> list[Body]:
    return [body for body in claude.asked if body["model"] == CRITIC]


def test_a_refused_branch_is_dropped_and_its_review_kept(
    criticised: Callable[..., RoundProposal],
    claude: ScriptedClaude,
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    tmp_path: Path,
) -> None:
    found = criticised("drop", [text(spoken(branch("a"), branch("b", 0.3)))], [verdict(a=False, b=True)])
    assert names(found.proposal.branches) == ["b"]
    lane, critic = found.lanes
    assert lane.branches == ("b",)
    assert lane.refused == (
        "branch a: a critic refuses it, as it does not differ in effect from what was tried: I looked.",
    )
    assert critic.lane == "critic-1"
    assert [(review.branch, review.refuses, review.refuted_by) for review in critic.reviews] == [
        ("a", True, "no gain"),
        ("b", False, "no gain"),
    ]
    assert (lane.usage.requests, critic.usage.requests, critic.model) == (1, 1, CRITIC)
    [asked] = by_critic(claude)
    assert "tools" not in asked
    assert asked["output_config"]["effort"] == "low"
    assert "hypothesis: It may help." in asked["messages"][0]["content"][0]["text"]
    entries = read_transcript(tmp_path / "rounds" / "001" / "critic-1.jsonl")
    assert sum(isinstance(entry, Received) for entry in entries) == 1


def test_a_refused_branch_is_named_where_another_before_it_could_not_run(
    criticised: Callable[..., RoundProposal],
    claude: ScriptedClaude,
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    """What the critic sees lacks the first branch of the answer, so places in it would mislead the lane."""
    answers = [text(spoken(branch("a", 2.0), branch("b", 0.3)))] * 4
    criticised("return", answers, [verdict(b=False)] * 2)
    proposing = [body["messages"] for body in claude.asked if body["model"] != CRITIC]
    assert "branches[0]" in proposing[1][-1]["content"][0]["text"]
    returned = proposing[-1][-1]["content"][0]["text"]
    assert "branch b: a critic refuses it" in returned
    assert "branches[" not in returned


def test_other_lanes_may_have_what_the_critic_refused(
    criticised: Callable[..., RoundProposal],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, hold = list[list[str]](), Board.hold

    def watched(board: Board, lane: str, branches: Sequence[Branch]) -> None:
        held.append(names(tuple(branches)))
        hold(board, lane, branches)

    monkeypatch.setattr(Board, "hold", watched)
    criticised("drop", [text(spoken(branch("a"), branch("b", 0.3)))], [verdict(a=False, b=True)])
    assert held == [["a", "b"], ["b"]]


def test_a_refused_branch_goes_back_once_and_what_is_refused_again_is_dropped(
    criticised: Callable[..., RoundProposal],
    claude: ScriptedClaude,
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    first, second = spoken(branch("a"), branch("b", 0.3)), spoken(branch("c", 0.4), branch("d", 0.5))
    found = criticised("return", [text(first), text(second)], [verdict(a=False, b=True), verdict(c=False)])
    assert names(found.proposal.branches) == ["d"]  # without a review it is kept
    returned = next(body for body in claude.asked if len(body["messages"]) == 3)["messages"]
    assert [message["role"] for message in returned] == ["user", "assistant", "user"]
    assert "branch a: a critic refuses it" in returned[-1]["content"][0]["text"]
    assert [review.branch for review in found.lanes[1].reviews] == ["a", "b", "c"]
    assert found.lanes[1].usage.requests == 2


@pytest.mark.parametrize(
    "last", [text("", stop="refusal"), Scripted(status=500, error="overloaded"), text(json.dumps({}))]
)
def test_where_a_returned_branch_gets_no_answer_the_others_stay(
    criticised: Callable[..., RoundProposal],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    last: Scripted,
) -> None:
    first = text(spoken(branch("a"), branch("b", 0.3)))
    found = criticised("return", [first, last], [verdict(a=False, b=True)])
    assert names(found.proposal.branches) == ["b"]


@pytest.mark.parametrize(
    ("review", "why"),
    [
        (text("I would rather not."), "the review cannot be read: "),
        (text("", stop="refusal"), "refused to answer"),
        (Scripted(status=529, error="overloaded"), "the API gave no answer"),
    ],
)
def test_a_critic_that_fails_costs_no_branch(
    criticised: Callable[..., RoundProposal],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    review: Scripted,
    why: str,
) -> None:
    found = criticised("drop", [text(spoken(branch("a")))], [review])
    assert names(found.proposal.branches) == ["a"]
    assert found.lanes[1].reviews == ()
    assert why in (found.lanes[1].why or "")


def test_a_critic_that_declines_is_named_and_no_dearer_model_is_asked(
    criticised: Callable[..., RoundProposal],
    claude: ScriptedClaude,
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    key: str,
) -> None:
    declined = refusal(explanation=f"not with {key}")
    others = {"fallbacks": ("claude-opus-4-8",), "other_model": "claude-haiku-5-5"}
    found = criticised("drop", [text(spoken(branch("a")))], [declined], **others)
    assert names(found.proposal.branches) == ["a"]
    assert [(one.model, one.category) for one in found.lanes[1].refusals] == [(CRITIC, "frontier_llm")] * 2
    assert key not in str(found.lanes[1].refusals)
    assert [body["model"] for body in claude.asked] == ["claude-opus-5-5", CRITIC, CRITIC]
    assert not any("fallbacks" in body for body in claude.asked)


def test_where_all_is_refused_the_playbook_proposes(
    criticised: Callable[..., RoundProposal], branch: Callable[..., Branch], spoken: Callable[..., str]
) -> None:
    found = criticised("drop", [text(spoken(branch("a")))], [verdict(a=False)])
    assert [lane.source for lane in found.lanes] == ["claude", "claude", "playbook"]
    assert found.proposal.branches


def test_its_dollars_count_under_the_one_cap_at_its_own_price(
    criticised: Callable[..., RoundProposal],
    claude: ScriptedClaude,
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    """The cap pays for the proposal's reservation, and after its answer for no critic's."""
    found = criticised(
        "drop", [text(spoken(branch("a")), output_tokens=9_000)], [verdict(a=True)], max_usd=0.21
    )
    assert by_critic(claude) == []
    assert found.lanes[1].budget_spent
    assert names(found.proposal.branches) == ["a"]


def test_without_the_setting_there_is_no_critic_and_an_unknown_model_needs_a_price(key: str) -> None:
    account = MemoryAccount()
    budget = Budget(1.0, PRICES["claude-opus-5-5"], account)
    named = ClaudeConfig(critic=CriticConfig(model="unheard-of"))
    assert new_critic(ClaudeConfig(), budget, account, run_dir=None, key=key) is None
    with pytest.raises(ValueError, match=r"agent\.critic\.model 'unheard-of' has no price"):
        new_critic(named, budget, account, run_dir=None, key=key)
