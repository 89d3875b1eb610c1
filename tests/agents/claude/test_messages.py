"""The SDK and a server on loopback that speaks the Messages API."""

import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents.claude.failures import CallFailedError
from agents.claude.messages import Claude, Request, read_key
from agents.claude.proposer import ClaudeProposer
from agents.claude.service.attempts import Attempt
from agents.claude.service.replies import ToolUse
from agents.findings.findings import Findings
from agents.prices import Price
from agents.settings import ClaudeConfig
from tests.agents.claude.conftest import Propose, names
from tests.servers.messages_api import Scripted, ScriptedClaude, in_turn, text


def test_a_request_is_tried_again_at_once_while_the_api_is_busy(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    busy = Scripted(status=529, error="overloaded")
    answer = proposer(busy, busy, text(spoken(branch("a"))), retries=2).propose(campaign())
    assert names(answer.proposal.branches) == ["a"]
    assert len(claude.asked) == 3
    assert answer.lanes[0].usage.requests == 1


def test_a_count_that_fails_is_no_answer_either(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings]
) -> None:
    ready = proposer(text("never"))
    claude.count_failure = Scripted(status=500, error="sorry")
    assert ready.propose(campaign()).lanes[0].why == "the API gave no answer: 500 api_error: sorry"
    assert claude.asked == []
    claude.count_failure = Scripted(raw="{}")
    why = ready.propose(campaign()).lanes[0].why
    assert why == "the API gave no answer: the count of tokens came back without a number"


def test_an_answer_that_was_lost_counts_as_the_most_it_can_have_cost(
    proposer: Propose, campaign: Callable[..., Findings]
) -> None:
    answer = proposer(Scripted(silent_s=4.0), timeout_s=0.4, max_tokens=10_000).propose(campaign())
    assert (
        0.2 < answer.lanes[0].usage.usd < 0.25
    )  # 10,000 tokens out at 20 dollars a million, and what went in


def test_an_answer_that_trickles_is_late_all_the_same(
    proposer: Propose, campaign: Callable[..., Findings]
) -> None:
    started = time.monotonic()
    trickle = Scripted(content=[{"type": "text", "text": "x" * 2000}], drip_s=0.01)
    (lane, _) = proposer(trickle, timeout_s=0.2, max_tokens=10_000).propose(campaign()).lanes
    assert time.monotonic() - started < 15  # the answer takes 20 s to come
    assert lane.why == "the API gave no answer: no answer within 0.2 s"
    assert lane.usage.usd > 0.2


@pytest.mark.parametrize(
    "usage",
    [
        {"service_tier": "standard"},
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 10, "output_tokens": 0},
        {"input_tokens": -1, "output_tokens": 5},
        {"input_tokens": 2.5, "output_tokens": 5},
        {"input_tokens": "10", "output_tokens": "5"},
    ],
)
def test_an_answer_that_does_not_say_what_it_cost_is_taken_at_its_highest_price(
    proposer: Propose, campaign: Callable[..., Findings], branch: Any, spoken: Any, usage: Any
) -> None:
    (lane,) = proposer(text(spoken(branch("a")), usage=usage), max_tokens=10_000).propose(campaign()).lanes
    assert (lane.branches, lane.usage.requests) == (("a",), 1)
    assert 0.2 < lane.usage.usd < 0.25


def test_a_request_is_not_sent_on_to_where_an_answer_points(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings]
) -> None:
    elsewhere = Scripted(status=307, error="moved", headers={"location": "/v1/messages"})
    lane = proposer(elsewhere).propose(campaign()).lanes[0]
    assert (len(claude.asked), str(lane.why)[:38]) == (1, "the API gave no answer: 307 api_error:")


@pytest.mark.parametrize("found", ["environment", "file"])
def test_an_invalid_key_is_one_line_at_the_start(
    claude: ScriptedClaude, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-wrong\n")
    if found == "environment":
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-wrong")
    else:
        monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(ValueError, match=r"the API does not accept the key .*\(401\)") as caught:
        ClaudeProposer(ClaudeConfig(base_url=claude.url, key_file=str(file)), seed=0, run_dir=None)
    assert "sk-wrong" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert claude.asked == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "must hold a key"),
        (b"a b", "must hold a key"),
        (b"\xff\xfe", "no text"),
    ],
)
def test_a_key_file_that_holds_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        ClaudeProposer(ClaudeConfig(key_file=str(tmp_path / "key")), seed=0, run_dir=None)
    with pytest.raises(ValueError, match="there is no key: set ANTHROPIC_API_KEY"):
        ClaudeProposer(ClaudeConfig(), seed=0, run_dir=None)


@pytest.mark.parametrize(
    "text", ["sk-one\nsk-two", "sk-one # mine", "export KEY=\nsk-one\n", "sk-öne", "sk-\x1b[2J"]
)
def test_a_key_in_the_environment_that_is_no_key_is_one_line_without_it(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", text)
    with pytest.raises(ValueError, match="ANTHROPIC_API_KEY: must hold a key and nothing else") as caught:
        ClaudeProposer(ClaudeConfig(), seed=0, run_dir=None)
    assert str(caught.value).isprintable()
    assert "one" not in str(caught.value)


def test_an_unknown_model_is_a_mistake_in_the_config(claude: ScriptedClaude, key: str) -> None:
    with pytest.raises(ValueError, match=r"agent\.model 'claude-x' has no price"):
        ClaudeProposer(ClaudeConfig(model="claude-x", base_url=claude.url), seed=0, run_dir=None)
    claude.count_failure = Scripted(status=404, error="model: claude-opus-5")
    with pytest.raises(ValueError, match=r"agent\.model 'claude-opus-5': 404"):
        ClaudeProposer(ClaudeConfig(model="claude-opus-5", base_url=claude.url), seed=0, run_dir=None)


PRICE = Price(input=4, output=20, cache_write=5, cache_read=0.2)


@pytest.fixture
def api(claude: ScriptedClaude, key: str) -> Claude:
    """The API as the server on loopback is it: no wait, no second attempt."""
    return Claude(ClaudeConfig(base_url=claude.url, retries=0, timeout_s=5.0), PRICE, key)


REQUEST = Request(
    system=[{"type": "text", "text": "system"}],
    tools=[{"name": "read_notes"}],
    messages=[{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    format={"type": "object"},
    may_use_tools=False,
)


def test_an_answer_is_its_text_its_tools_and_what_it_cost(api: Claude, claude: ScriptedClaude) -> None:
    content = [
        {"type": "text", "text": "I look "},
        {"type": "tool_use", "id": "toolu_1", "name": "read_notes", "input": {"round": 2}},
        {"type": "text", "text": "it up"},
    ]
    usage = {"input_tokens": 10, "cache_read_input_tokens": None, "output_tokens": 1000}
    claude.answer = in_turn(Scripted(content=content, stop="tool_use", usage=usage))
    reply = api.create(REQUEST, 2048)
    assert (reply.stop, reply.text) == ("tool_use", "I look it up")
    assert reply.tools == (ToolUse(id="toolu_1", name="read_notes", arguments={"round": 2}),)
    assert reply.usage is not None
    assert (reply.usage.all_input_tokens, reply.usage.output_tokens) == (10, 1000)
    assert reply.usage.usd == pytest.approx((10 * 4 + 1000 * 20) / 1e6)
    [body] = claude.asked
    assert (body["max_tokens"], body["tool_choice"]) == (2048, {"type": "none"})
    assert (body["model"], body["output_config"]["effort"]) == ("claude-opus-5-5", "high")


@pytest.mark.parametrize(
    ("bad", "retryable", "billed"),
    [
        (Scripted(status=400, error="too long"), False, False),
        (Scripted(status=408, error="slow"), True, True),
        (Scripted(status=429, error="busy"), True, False),
        (Scripted(status=500, error="sorry"), True, True),
        (Scripted(status=504, error="late"), True, True),
        (Scripted(status=529, error="overloaded"), True, False),
        (Scripted(status=307, error="elsewhere"), False, True),
        (Scripted(drop=True), True, True),
        (Scripted(raw="<html>"), True, True),
        (Scripted(raw='{"content": null}'), True, True),
    ],
)
def test_a_failure_says_whether_to_try_again_and_whether_it_may_be_billed(
    api: Claude, claude: ScriptedClaude, bad: Scripted, retryable: bool, billed: bool
) -> None:
    claude.answer = in_turn(bad)
    with pytest.raises(CallFailedError) as caught:
        api.create(REQUEST, 2048)
    assert (caught.value.retryable, caught.value.billed) == (retryable, billed)


def test_what_was_never_sent_cannot_be_billed(api: Claude) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        config = ClaudeConfig(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", retries=0)
        with pytest.raises(CallFailedError, match="the connection failed") as caught:
            Claude(config, PRICE, "sk-test").create(REQUEST, 2048)
    assert (caught.value.retryable, caught.value.billed) == (True, False)


def test_an_error_is_told_on_one_short_line_without_the_key(api: Claude, key: str) -> None:
    told = api.plain(f"first\n  second \x1b[31m{key} {json.dumps(key)[1:-1]}" + "x" * 400)
    assert told.startswith("first second ?[31m[key]")
    assert len(told) == 300
    assert told.isprintable()
    assert key not in told
    assert told.count("[key]") == 2


def test_the_key_of_the_environment_comes_before_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("  of-the-file\n")
    config = ClaudeConfig(key_file=str(tmp_path / "key"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", " of-the-environment ")
    assert read_key(config) == "of-the-environment"
    monkeypatch.setenv("ANTHROPIC_API_KEY", " ")
    assert read_key(config) == "of-the-file"


def test_a_model_without_adaptive_thinking_is_asked_without_it(api: Claude, claude: ScriptedClaude) -> None:
    claude.answer = in_turn(text("yes"))
    for model, thinks in (("claude-haiku-4-5-20251001", False), ("claude-haiku-5-5", True)):
        api.create(REQUEST.model_copy(update={"attempt": Attempt(model=model)}), 2048)
        body = claude.asked[-1]
        assert (body["model"], "thinking" in body, "effort" in body["output_config"]) == (
            model,
            thinks,
            thinks,
        )


def test_every_model_of_a_config_needs_a_price(claude: ScriptedClaude) -> None:
    for wrong in ({"fallbacks": ("mine",)}, {"other_model": "mine"}):
        config = ClaudeConfig.model_validate({"base_url": claude.url} | wrong)
        with pytest.raises(ValueError, match=rf"agent.{next(iter(wrong))} 'mine' has no price in the table"):
            Claude(config, PRICE, "sk-test")
