"""Broken answers of the API, of every kind: none crashes a lane, each is one line in its report."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from agents.findings.findings import Findings
from tests.agents.claude.conftest import Propose, names
from tests.servers.messages_api import Scripted, ScriptedClaude, text, use


def block(**values: Any) -> Scripted:
    return Scripted(content=[values])


BROKEN: dict[str, Scripted] = {
    **{f"status {status}": Scripted(status=status, error="no") for status in (204, 302, 400, 418, 500, 529)},
    "an error that is no JSON": Scripted(status=500, headers={"content-type": "text/html"}),
    "an endless wait": Scripted(status=529, headers={"retry-after": "1e400", "retry-after-ms": "x"}),
    "no answer": Scripted(drop=True),
    "a body cut short": text("{}", cut=20),
    "an empty body": Scripted(raw=""),
    "a body of another type": Scripted(raw="<html>", headers={"content-type": "text/html"}),
    "HTML that claims to be JSON": Scripted(raw="<html>"),
    "a stream": Scripted(raw="event: x\ndata: {}\n\n", headers={"content-type": "text/event-stream"}),
    "no gzip": Scripted(raw="{}", headers={"content-encoding": "gzip"}),
    "null": Scripted(raw="null"),
    "a number": Scripted(raw="3"),
    "a list": Scripted(raw='["text"]'),
    "nested too deep": Scripted(raw="[" * 100_000),
    "deep in a tool's input": Scripted(raw='{"content": [{"type": "tool_use", "input": ' + "[" * 5000),
    "a huge number": Scripted(raw='{"content": [], "usage": ' + "9" * 5000 + "}"),
    "NaN": Scripted(raw='{"content": NaN, "usage": Infinity}'),
    "no content": Scripted(raw="{}"),
    "content that is null": Scripted(raw='{"content": null}'),
    "content that is a text": Scripted(raw='{"content": "text", "usage": {}}'),
    "content of texts": Scripted(raw='{"content": ["text", 3, null]}'),
    "a block of no type": block(text="x"),
    "a block of an unknown type": block(type="hologram", text="x"),
    "a text that is null": block(type="text", text=None),
    "a text that is a list": block(type="text", text=["x"]),
    "a lone surrogate": Scripted(raw='{"content": [{"type": "text", "text": "\\ud800"}]}'),
    "a tool without id": block(type="tool_use", name="read_notes", input={}),
    "a tool without name": block(type="tool_use", id="x", input={}),
    "a tool whose id is a number": block(type="tool_use", id=3, name="note", input={"text": "x"}),
    "a tool that is null": Scripted(content=[{"type": "tool_use", "id": "x", "name": None}], stop="tool_use"),
    "an input that is a text": use("note", "x"),
    "an input of the wrong form": use("list_trials", {"limit": "all", "order": [], "x" * 9000: {}}),
    "no tool": Scripted(content=[{"type": "text", "text": "x"}], stop="tool_use"),
    "a pause": Scripted(content=[], stop="pause_turn"),
    "an unknown stop": text("x", stop="asteroid"),
    "a stop that is a number": Scripted(raw='{"content": [], "stop_reason": 7, "usage": {}}'),
    "no usage": text("x", usage={"service_tier": "x"}),
    "usage in words": text("x", usage={"input_tokens": "many", "output_tokens": "few"}),
    "negative usage": text("x", usage={"input_tokens": -1, "output_tokens": -1}),
    "usage of halves": text("x", usage={"input_tokens": 0.5, "output_tokens": 1.5}),
    "usage without bound": text("x", usage={"input_tokens": 10**400, "output_tokens": float("inf")}),
    "a megabyte of text": text("x" * 1_000_000),
    "a megabyte of braces": text('{"branches":' * 80_000),
    "escape sequences": text("\x1b[2J\x1b]0;x\x07"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_crashes_nothing(
    proposer: Propose,
    campaign: Callable[..., Findings],
    kind: str,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(logging.WARNING)
    ready = proposer(BROKEN[kind], tool_turns=0, max_usd=100, timeout_s=30.0, max_tokens=10_000)
    answer = ready.propose(campaign())
    lane, playbook = answer.lanes
    assert (lane.source, playbook.source) == ("claude", "playbook")
    assert lane.why
    assert lane.why.isprintable()
    assert len(lane.why) < 400
    assert playbook.branches == tuple(names(answer.proposal.branches))
    assert [record.getMessage() for record in caplog.records] == []
    assert [str(w.message) for w in recwarn.list if w.category is not ResourceWarning] == []  # of sockets


@pytest.mark.parametrize("kind", [kind for kind, answer in BROKEN.items() if not answer.content])
def test_a_broken_count_crashes_nothing_and_costs_nothing(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ready = proposer(text("never"), timeout_s=30.0)
    claude.count_failure = BROKEN[kind]
    lane = ready.propose(campaign()).lanes[0]
    assert str(lane.why).startswith("the API gave no answer: ")
    assert (claude.asked, lane.usage.usd) == ([], 0.0)
    assert [record.getMessage() for record in caplog.records] == []
