"""How long a prefix is kept, who writes it, and why it was missed."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.claude.service.caching import FirstLane, Lifetime, mark, miss_of, with_cached_end
from agents.claude.transcript import Received, read_transcript
from agents.findings.findings import BranchFinding, Findings
from agents.settings import Cache
from tests.agents.claude.conftest import NOTES, Propose
from tests.servers.messages_api import Body, Scripted, ScriptedClaude, in_turn, text

HOUR = {"type": "ephemeral", "ttl": "1h"}
SHORT = {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("setting", "starts", "hours"),
    [
        ("auto", [0, 60, 160], [False, False, False]),  # seconds apart: five minutes live on
        ("auto", [0, 600, 1_200, 1_230], [False, True, True, False]),
        ("auto", [0, 4_000, 8_000], [False, False, False]),  # nothing lives that long
        ("5m", [0, 600], [False, False]),
        ("1h", [0, 10], [True, True]),
    ],
)
def test_an_hour_is_paid_for_where_rounds_are_minutes_apart(
    setting: Cache, starts: list[float], hours: list[bool]
) -> None:
    times = iter(starts)
    lifetime = Lifetime(setting, clock=lambda: next(times))
    assert [lifetime.hour_for_round() for _ in starts] == hours


def test_the_end_of_a_lane_is_kept_for_minutes() -> None:
    said: list[Body] = [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    (marked,) = with_cached_end(said)
    assert marked["content"] == [{"type": "text", "text": "a", "cache_control": SHORT}]
    assert "cache_control" not in said[0]["content"][0]
    answered = [*said, {"role": "assistant", "content": [{"type": "text", "text": "b"}]}]
    assert with_cached_end(answered) == answered
    assert mark(hour=True) == {"cache_control": HOUR}


def test_other_lanes_wait_for_the_first_and_not_for_ever() -> None:
    order: list[str] = []
    gate = FirstLane("1", 30.0)

    def second() -> None:
        gate.before_asking("2")
        order.append("2")

    thread = threading.Thread(target=second)
    thread.start()
    gate.before_asking("1")
    gate.answered("2")  # says nothing of the first
    order.append("1")
    gate.answered("1")
    thread.join()
    assert order == ["1", "2"]
    FirstLane("1", 0.0).before_asking("2")


@pytest.mark.parametrize(
    ("diagnostics", "said"),
    [
        (None, None),
        (SimpleNamespace(cache_miss_reason=None), None),
        (
            SimpleNamespace(
                cache_miss_reason=SimpleNamespace(type="system_changed", cache_missed_input_tokens=12_345)
            ),
            "system_changed (12,345 tokens)",
        ),
        (SimpleNamespace(cache_miss_reason=SimpleNamespace(type="unavailable")), "unavailable"),
        (SimpleNamespace(cache_miss_reason=SimpleNamespace(type=7)), None),
    ],
)
def test_a_miss_is_told_in_a_few_words(diagnostics: Any, said: str | None) -> None:
    assert miss_of(SimpleNamespace(diagnostics=diagnostics)) == said


def test_what_all_rounds_share_is_marked_and_each_round_of_the_history_is_a_block(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Any],
    spoken: Callable[..., str],
) -> None:
    known = [BranchFinding(branch=branch(f"old-{n}", n / 10), round=n, live=True) for n in (1, 2)]
    ready = proposer(text(spoken(branch("a", 0.5))), cache="1h")
    ready.propose(campaign(branches=known[:1]))
    ready.propose(campaign(branches=known))
    first, second = claude.asked
    assert second["system"][0]["cache_control"] == HOUR
    one, two = ([block["text"] for block in body["messages"][0]["content"]] for body in (first, second))
    assert one[:2] == two[:2]  # what the first request cached is found again
    assert len(two) == len(one) + 1 == 4
    assert "old-2" in two[2]
    assert two[3].startswith("</record>\n")
    marks = [block.get("cache_control") for block in second["messages"][0]["content"]]
    assert marks == [None, None, HOUR, SHORT]
    # and the hour's price is paid: 8 dollars a million on opus-5-5, not 5
    usage = claude.usage(second)
    assert usage["cache_creation"]["ephemeral_1h_input_tokens"] == 0  # a second look writes nothing


def with_miss(said: str) -> str:
    """An answer of the API that says that the tools had changed."""
    reason = {"type": "tools_changed", "cache_missed_input_tokens": 321}
    return json.dumps(
        {
            "id": "msg_2",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-5-5",
            "content": [{"type": "text", "text": said}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "diagnostics": {"cache_miss_reason": reason},
            "usage": {"input_tokens": 5, "output_tokens": 5},
        }
    )


def test_the_api_is_asked_why_and_the_reason_is_written_down(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Any],
    spoken: Callable[..., str],
    tmp_path: Path,
) -> None:
    ready = proposer(NOTES, Scripted(raw=with_miss(spoken(branch("a")))), text(spoken(branch("b"))))
    ready.propose(campaign())
    ready.propose(campaign(round=2))
    previous = [body["diagnostics"]["previous_message_id"] for body in claude.asked]
    assert previous == [
        None,
        "msg_1",
        "msg_1",
    ]  # the second round compares with the first one's first message
    assert all("diagnostics" not in body for body in claude.counted)
    entries = read_transcript(tmp_path / "rounds" / "001" / "transcript-1.jsonl")
    misses = [entry.cache_miss for entry in entries if isinstance(entry, Received)]
    assert misses == [None, "tools_changed (321 tokens)"]


def test_an_api_that_does_not_know_the_question_is_asked_once(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Any],
    spoken: Callable[..., str],
) -> None:
    good = text(spoken(branch("a")))

    def answer(body: Body) -> Scripted:
        unknown = Scripted(status=400, error="diagnostics: Extra inputs are not permitted")
        return unknown if "diagnostics" in body else good

    claude.answer = answer
    ready = proposer()
    (lane,) = ready.propose(campaign()).lanes
    assert (lane.branches, lane.usage.requests) == (("a",), 1)
    ready.propose(campaign(round=2))
    assert ["diagnostics" in body for body in claude.asked] == [True, False, False]
    claude.answer = in_turn(good)
    claude.asked.clear()
    proposer(diagnose_cache=False).propose(campaign(round=3))
    assert ["diagnostics" in body for body in claude.asked] == [False]


def test_efforts_of_rounds(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Any],
    spoken: Callable[..., str],
) -> None:
    ready = proposer(text(spoken(branch("a"))), efforts=("max", "low"))
    for number in (1, 2, 3):
        ready.propose(campaign(round=number))
    assert [body["output_config"]["effort"] for body in claude.asked] == ["max", "low", "low"]


def test_three_lanes_write_their_common_prefix_once(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Any],
    spoken: Callable[..., str],
) -> None:
    ready = proposer(text(spoken(branch("a"))), lanes=3, branches=1)
    lanes = [lane for lane in ready.propose(campaign()).lanes if lane.lane != "playbook"]
    read = [lane.usage.cache_read_tokens for lane in lanes]
    assert read[0] == 0
    assert min(read[1:]) > 0.8 * lanes[0].usage.cache_write_tokens
