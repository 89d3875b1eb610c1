"""The SDK and a server on loopback that speaks the Messages API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.claude.proposer import ClaudeProposer
from agents.findings.findings import Findings
from agents.settings import ClaudeConfig
from tests.agents.claude.conftest import Propose, names
from tests.servers.messages_api import Scripted, ScriptedClaude, text


def test_the_sdk_tries_again_before_we_do(
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
    answer = proposer(Scripted(silent_s=1.0), timeout_s=0.2, max_tokens=10_000).propose(campaign())
    assert (
        0.2 < answer.lanes[0].usage.usd < 0.25
    )  # 10,000 tokens out at 20 dollars a million, and what went in


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


def test_an_unknown_model_is_a_mistake_in_the_config(claude: ScriptedClaude, key: str) -> None:
    with pytest.raises(ValueError, match=r"agent\.model 'claude-x' has no price"):
        ClaudeProposer(ClaudeConfig(model="claude-x", base_url=claude.url), seed=0, run_dir=None)
    claude.count_failure = Scripted(status=404, error="model: claude-opus-5")
    with pytest.raises(ValueError, match=r"agent\.model 'claude-opus-5': 404"):
        ClaudeProposer(ClaudeConfig(model="claude-opus-5", base_url=claude.url), seed=0, run_dir=None)
