"""When a failed request is sent again."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agents.claude.failures import CallFailedError, quick_wait, waits
from agents.findings.findings import Findings
from agents.settings import ClaudeConfig
from tests.agents.claude.conftest import Propose
from tests.servers.messages_api import Scripted, ScriptedClaude, text


def test_each_wait_is_followed_by_quick_retries() -> None:
    assert list(waits(ClaudeConfig(retries=2, backoff_s=(10.0, 60.0)))) == [
        *(None, None, 10.0),
        *(None, None, 60.0),
        *(None, None),
    ]
    assert list(waits(ClaudeConfig(retries=0, backoff_s=()))) == []


def test_a_quick_retry_waits_as_the_api_asks_and_else_longer_each_time() -> None:
    asked = CallFailedError("busy", retryable=True, wait_s=3.0)
    assert quick_wait(asked, 1) == 3.0
    silent = CallFailedError("busy", retryable=True)
    for failures, longest in ((1, 0.5), (2, 1.0), (5, 8.0), (1000, 8.0)):
        assert 0.75 * longest <= quick_wait(silent, failures) <= longest


@pytest.mark.parametrize(
    ("headers", "status", "attempts"),
    [
        ({"x-should-retry": "false"}, 529, 1),
        ({"x-should-retry": "true"}, 400, 2),
        ({"retry-after-ms": "junk", "retry-after": "0.001"}, 529, 2),
        ({"retry-after-ms": "-5", "retry-after": "0"}, 529, 2),
        ({"retry-after-ms": "nan", "retry-after": "0"}, 529, 2),
    ],
)
def test_what_the_api_says_about_retries_holds(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    headers: dict[str, str],
    status: int,
    attempts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    clock = SimpleNamespace(sleep=waits.append, time=time.time, monotonic=time.monotonic)
    monkeypatch.setattr("agents.claude.conversation.time", clock)
    answer = proposer(Scripted(status=status, error="no", headers=headers), retries=1).propose(campaign())
    assert len(claude.asked) == attempts
    assert len(waits) == attempts - 1
    assert sum(waits) < 0.4  # not the half second of a failure that says nothing
    assert answer.lanes[0].usage.usd == 0


def test_a_lost_answer_counts_again_at_every_attempt(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    lost = Scripted(drop=True)
    ready = proposer(lost, lost, text(spoken(branch("a"))), backoff_s=(0.0, 0.0), max_tokens=10_000)
    (lane,) = ready.propose(campaign()).lanes
    assert (len(claude.asked), lane.usage.requests, lane.branches) == (3, 1, ("a",))
    assert 0.4 < lane.usage.usd < 0.6  # twice 10,000 tokens at 20 dollars a million, and the input thrice
