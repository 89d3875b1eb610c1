"""What happens when a model declines: a second framing, a fallback within the request, another model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.claude.prompting import filled
from agents.claude.service.attempts import Attempt, attempts
from agents.claude.transcript import Asked, Received, read_transcript
from agents.findings.findings import Findings
from agents.language.proposal import Branch
from agents.prices import PRICES
from agents.settings import ClaudeConfig
from tests.agents.claude.conftest import NOTES, Propose, names
from tests.servers.messages_api import Body, Scripted, ScriptedClaude, refusal, text

NO = refusal("frontier_llm", "It looks like the development of a competing model.")
OPUS, OLD, HAIKU = "claude-opus-5-5", "claude-opus-4-8", "claude-haiku-5-5"


def handed_on(said: str, to: str) -> Scripted:
    """An answer of a model that the API asked in the same request when the first one declined."""
    hop = {
        "type": "fallback",
        "from": {"model": OPUS},
        "to": {"model": to},
        "trigger": {"type": "refusal", "category": "frontier_llm"},
    }
    counts = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    usage = {
        "input_tokens": 1_000,
        "output_tokens": 2_000,
        **counts,
        "iterations": [
            {"type": "message", "model": OPUS, "input_tokens": 1_000, "output_tokens": 10, **counts},
            {
                "type": "fallback_message",
                "model": to,
                "input_tokens": 1_000,
                "output_tokens": 2_000,
                **counts,
            },
        ],
    }
    content = [{"type": "text", "text": "I was ab"}, hop, {"type": "text", "text": said}]
    return Scripted(content=content, usage=usage, model=to)


def first_words(body: Body) -> list[str]:
    return [block["text"] for block in body["messages"][0]["content"]]


def test_who_is_asked_in_which_order() -> None:
    assert attempts(ClaudeConfig()) == (Attempt(model=OPUS), Attempt(model=OPUS, framed=True))
    config = ClaudeConfig(fallbacks=(OLD, "claude-opus-4-7"), other_model=HAIKU)
    first, again, other = attempts(config)
    assert first == Attempt(model=OPUS)
    assert again == Attempt(model=OPUS, framed=True, fallbacks=config.fallbacks)
    assert again.models == (OPUS, *config.fallbacks)
    assert other == Attempt(model=HAIKU, framed=True)


def test_a_second_framing_of_the_same_facts_is_tried_first(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    tmp_path: Path,
) -> None:
    answer = proposer(NOTES, NO, text(spoken(branch("a")))).propose(campaign())
    (lane,) = answer.lanes
    assert names(answer.proposal.branches) == ["a"]
    assert (lane.source, lane.model, lane.why) == ("claude", OPUS, None)
    (declined,) = lane.refusals
    assert (declined.model, declined.category, declined.framed) == (OPUS, "frontier_llm", False)
    assert declined.explanation == "It looks like the development of a competing model."
    # the conversation began anew: the same first message with what the research is for, and no tool turn
    _, refused, framed = claude.asked
    plain = first_words(refused)
    assert first_words(framed) == [*plain[:-1], filled("framing.md"), plain[-1]]
    assert len(framed["messages"]) == 1
    assert framed["system"] == refused["system"]
    entries = read_transcript(tmp_path / "rounds" / "001" / "transcript-1.jsonl")
    assert [entry.declined for entry in entries if isinstance(entry, Received)] == [(), (declined,), ()]
    assert [(entry.model, entry.framed) for entry in entries if isinstance(entry, Asked)] == [(OPUS, True)]


def test_the_api_itself_asks_a_fallback_that_then_stays(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    bad = handed_on(spoken(branch("bad", 7.0)), OLD)
    ready = proposer(NO, bad, text(spoken(branch("a")), model=OLD), fallbacks=(OLD,))
    (lane,) = ready.propose(campaign()).lanes
    assert (lane.branches, lane.model, lane.repairs) == (("a",), OLD, 1)
    assert [(one.model, one.framed) for one in lane.refusals] == [(OPUS, False), (OPUS, True)]
    _, second, third = claude.asked
    assert second["fallbacks"] == [{"model": OLD}]
    (betas,) = (
        one["anthropic-beta"] for one in claude.headers if "fallback" in str(one.get("anthropic-beta"))
    )
    assert "server-side-fallback-2026-07-01" in betas.split(",")
    # the repair goes to the model that took over, with its own words alone
    assert (third["model"], "fallbacks" in third) == (OLD, False)
    assert [block["type"] for block in third["messages"][1]["content"]] == ["text"]


def test_both_models_of_a_request_are_reserved_and_billed(
    proposer: Propose,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    ready = proposer(NO, handed_on(spoken(branch("a")), OLD), fallbacks=(OLD,), max_tokens=10_000)
    account = ready._account
    before: list[float] = []
    reserve = account.reserve
    account.reserve = lambda lane, usd: before.append(usd) or reserve(lane, usd)  # type: ignore[method-assign]
    (lane,) = ready.propose(campaign()).lanes
    # 10,000 tokens out at 20 dollars a million; then at 20 and at 25
    assert before[1] - before[0] > 0.25
    declined = lane.usage.usd - (1_000 * 4 + 10 * 20 + 1_000 * 5 + 2_000 * 25) / 1e6
    assert 0 < declined < 0.2  # what the first request read, at most
    assert lane.usage.requests == 2


def test_another_model_is_asked_before_the_playbook(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    ready = proposer(NO, NO, text(spoken(branch("a"))), other_model=HAIKU)
    (lane,) = ready.propose(campaign()).lanes
    assert [body["model"] for body in claude.asked] == [OPUS, OPUS, HAIKU]
    assert (lane.branches, lane.model, len(lane.refusals)) == (("a",), HAIKU, 2)


def test_when_every_model_declines_the_playbook_proposes_and_each_refusal_is_kept(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], key: str
) -> None:
    hostile = refusal("cyber\x1b[2J", f"no {key}\n" + "x" * 2000, model="claude\u202e" + "y" * 200)
    lane, playbook = proposer(hostile, other_model=HAIKU).propose(campaign()).lanes
    assert len(claude.asked) == 3
    assert lane.why == playbook.why
    assert str(lane.why).startswith("every model declined; the last: claude?yyy")
    assert len(lane.refusals) == 3
    for declined in lane.refusals:
        told = f"{declined.model}{declined.category}{declined.explanation}"
        assert told.isprintable()
        assert key not in told
        assert len(told) < 600
    assert lane.usage.requests == 3


def test_a_refusal_after_a_proposal_keeps_what_can_run(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    (lane,) = proposer(text(spoken(branch("a"), branch("bad", 7.0))), NO).propose(campaign()).lanes
    assert len(claude.asked) == 2
    assert lane.branches == ("a",)
    assert lane.why is not None
    assert "frontier_llm" in lane.why


@pytest.mark.parametrize("details", [None, {}, {"type": "refusal"}, {"category": 7}, "no", [1]])
def test_details_that_say_nothing_are_a_refusal_all_the_same(
    proposer: Propose, campaign: Callable[..., Findings], details: Any
) -> None:
    said = Scripted(stop="refusal", stop_details=details)
    lane, playbook = proposer(said).propose(campaign()).lanes
    assert (len(lane.refusals), playbook.source) == (2, "playbook")


def test_a_refused_campaign_stays_under_its_cap(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings]
) -> None:
    usage = {"input_tokens": 5_000, "output_tokens": 3_000}
    ready = proposer(refusal(usage=usage), fallbacks=(OLD,), other_model=HAIKU, max_usd=0.4, max_tokens=4096)
    for number in range(1, 6):
        ready.propose(campaign(round=number))
    opus, haiku = ((5_000 * one.input + 3_000 * one.output) / 1e6 for one in (PRICES[OPUS], PRICES[HAIKU]))
    billed = sum(haiku if body["model"] == HAIKU else opus for body in claude.asked)
    assert 0 < billed <= 0.4
