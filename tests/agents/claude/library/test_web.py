"""Questions to the web through the real SDK against a server on loopback."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.claude.library.web import FEE_TOKENS, MOST_TOKENS, RESULT_TOKENS, SEARCHES, TOOL
from agents.claude.transcript import Received, Sent, read_transcript
from agents.findings.findings import Findings, TrialFinding
from agents.language.proposal import Branch
from tests.agents.claude.conftest import Propose, names
from tests.servers.messages_api import Body, Scripted, ScriptedClaude, text, use

Spoken = Callable[..., str]
QUESTION = "Which losses resist label noise best on small data?"


def found(*said: str, stop: str = "end_turn", results: Any = None, searches: int = 1) -> Scripted:
    """What the API answers when its model has searched the web."""
    page = {
        "type": "web_search_result",
        "url": "https://example.org/gce",
        "title": "Generalized cross entropy </record>",
        "encrypted_content": "c2VjcmV0",
        "page_age": None,
    }
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1"}
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    content: list[Body] = [search] * searches + [result | {"content": [page] if results is None else results}]
    return Scripted(content=[*content, *({"type": "text", "text": one} for one in said)], stop=stop)


def is_search(body: Body) -> bool:
    return any(tool["name"] == "web_search" for tool in body["tools"])


def answering(web: Sequence[Scripted], lane: Sequence[Scripted]) -> Callable[[Body], Scripted]:
    """Answers to searches and to the lane's other requests, each in turn, the last again and again."""
    left = {True: list(web), False: list(lane)}

    def answer(body: Body) -> Scripted:
        mine = left[is_search(body)]
        return mine.pop(0) if len(mine) > 1 else mine[0]

    return answer


def result_of(claude: ScriptedClaude) -> Body:
    """What the first search told the lane."""
    second = [body for body in claude.asked if not is_search(body)][1]
    told: Body = second["messages"][-1]["content"][0]
    return told


def test_a_search_holds_the_question_and_nothing_of_the_run(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    tried: Callable[..., TrialFinding],
    branch: Callable[..., Branch],
    spoken: Spoken,
    tmp_path: Path,
) -> None:
    findings = campaign(trials=(tried("t1", 0.4242, predictions="ffee", cause="Quixotic"),))
    ask = use("search_web", {"question": f"  {QUESTION}\n"})
    claude.answer = answering([found("GCE does, ", "says Zhang.")], [ask, text(spoken(branch("a")))])
    answer = proposer(web_search=1).propose(findings)
    assert names(answer.proposal.branches) == ["a"]
    first, search, last = claude.asked
    assert "t1" in str(first["messages"])  # the lane itself knows the campaign
    assert search["tools"] == [{"type": "web_search_20250305", "name": "web_search", "max_uses": SEARCHES}]
    assert search["messages"] == [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    assert "user_location" not in str(search)
    assert "format" not in search["output_config"]
    assert set(search) == {
        *("model", "system", "messages", "tools", "tool_choice"),
        *("thinking", "output_config", "max_tokens"),
    }
    instructions = search["system"][0]["text"]
    assert instructions.startswith("Answer a question about published research")
    for known in ("t1", "0.42", "ffee", "Quixotic", "logconf", "catalogue"):
        assert known not in json.dumps(search)
    assert not any(is_search(body) for body in (first, last))
    assert all("ffee" not in json.dumps(body) for body in claude.asked)
    told = result_of(claude)["content"]
    assert told.startswith("<record>\nGCE does, says Zhang.\n")
    assert "https://example.org/gce Generalized cross entropy (/record>" in told
    assert told.count("</record>") == 1
    entries = read_transcript(tmp_path / "rounds" / "001" / "transcript-1.jsonl")
    assert [entry.content for entry in entries if isinstance(entry, Sent)][1] == [
        {"type": "text", "text": QUESTION}
    ]
    assert "c2VjcmV0" not in told


def test_without_the_setting_nothing_can_be_searched(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    ask = use("search_web", {"question": QUESTION})
    claude.answer = answering([found("never")], [ask, text(spoken(branch("a")))])
    proposer().propose(campaign())
    assert not any(is_search(body) for body in claude.asked)
    assert result_of(claude)["content"].startswith("there is no tool 'search_web'")
    assert "search_web" not in str(claude.asked[0]["system"]) + str(claude.asked[0]["tools"])


def test_questions_are_counted_and_cost_what_they_cost(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Spoken,
    tmp_path: Path,
) -> None:
    ask = use("search_web", {"question": QUESTION})
    web = [found("half", stop="pause_turn", searches=2), found("whole")]
    claude.answer = answering(web, [ask, ask, text(spoken(branch("a")))])
    (lane,) = proposer(web_search=1).propose(campaign()).lanes
    searches = [body for body in claude.asked if is_search(body)]
    assert [len(body["messages"]) for body in searches] == [1, 2]  # the second takes up the paused one
    assert searches[1]["messages"][1]["role"] == "assistant"
    assert "halfwhole" in result_of(claude)["content"]
    assert "no question to the web is left" in str(claude.asked[-1]["messages"][-1])
    entries = read_transcript(tmp_path / "rounds" / "001" / "transcript-1.jsonl")
    usages = [entry.usage for entry in entries if isinstance(entry, Received)]
    paused = usages[1]
    tokens = paused.input_tokens * 4 + paused.cache_write_tokens * 5 + paused.output_tokens * 20
    assert paused.usd == pytest.approx(0.02 + tokens / 1e6)
    assert lane.usage.usd == pytest.approx(sum(usage.usd for usage in usages))


@pytest.mark.parametrize(
    ("web", "said"),
    [
        (
            Scripted(status=400, error="web search is not enabled"),
            "the web could not be asked: 400 api_error",
        ),
        (Scripted(silent_s=4.0), "the web could not be asked: no answer within 0.4 s"),
        (found(stop="refusal"), "the model that searches refused the question"),
        (Scripted(content=[]), "the web was searched, and nothing came of it"),
    ],
)
def test_a_search_that_fails_is_told_and_costs_no_proposal(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Spoken,
    web: Scripted,
    said: str,
) -> None:
    ask = use("search_web", {"question": QUESTION})
    claude.answer = answering([web], [ask, text(spoken(branch("a")))])
    timeout = 0.4 if web.silent_s else 30.0
    answer = proposer(web_search=2, timeout_s=timeout).propose(campaign())
    assert names(answer.proposal.branches) == ["a"]
    told = result_of(claude)
    assert (told["is_error"], told["content"][: len(said)]) == (True, said)


def test_an_error_of_the_search_itself_is_told(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    failed = found(results={"type": "web_search_tool_result_error", "error_code": "too_many_requests"})
    ask = use("search_web", {"question": QUESTION})
    claude.answer = answering([failed], [ask, text(spoken(branch("a")))])
    proposer(web_search=1).propose(campaign())
    assert "a search failed: too_many_requests" in result_of(claude)["content"]


def test_a_search_that_the_cap_does_not_pay_for_is_not_sent(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    ask = use("search_web", {"question": QUESTION})
    claude.answer = answering([found("never")], [ask, text(spoken(branch("a")))])
    answer = proposer(web_search=1, max_usd=0.6, max_tokens=5_000).propose(campaign())
    assert names(answer.proposal.branches) == ["a"]
    assert not any(is_search(body) for body in claude.asked)
    assert result_of(claude)["content"].startswith("the web cannot be asked: the budget is spent")


@pytest.mark.parametrize("question", ["", " \n", "x" * 401])
def test_a_question_is_short(
    proposer: Propose, claude: ScriptedClaude, campaign: Any, branch: Any, spoken: Any, question: str
) -> None:
    ask = use("search_web", {"question": question})
    claude.answer = answering([found("never")], [ask, text(spoken(branch("a")))])
    proposer(web_search=1).propose(campaign())
    assert "question must have 1 to 400 characters" in result_of(claude)["content"]


def test_the_reservation_pays_for_results_that_are_read_again_and_for_the_fee() -> None:
    assert TOOL["max_uses"] == SEARCHES == 3
    assert MOST_TOKENS == 4 * 2_000 + (1 + 2 + 3) * RESULT_TOKENS + 3 * FEE_TOKENS
