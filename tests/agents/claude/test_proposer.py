"""The proposer through the real SDK against a server on loopback that speaks the Messages API."""

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.claude.proposer import ClaudeProposer
from agents.claude.transcript import Received, read_transcript
from agents.findings.findings import BranchFinding, Findings
from agents.language.proposal import Branch
from agents.settings import ClaudeConfig
from tests.servers.messages_api import Scripted, ScriptedClaude, in_turn, text, use

Propose = Callable[..., ClaudeProposer]
NOTES = use("read_notes", {"round": None})


@pytest.fixture
def proposer(claude: ScriptedClaude, tmp_path: Path) -> Propose:
    """proposer(answers..., setting=...): a proposer whose model gives these answers, without waits."""

    def make(*answers: Scripted, **settings: Any) -> ClaudeProposer:
        claude.answer = in_turn(*answers) if answers else claude.answer
        values = {"base_url": claude.url, "retries": 0, "backoff_s": (), "timeout_s": 5.0}
        return ClaudeProposer(ClaudeConfig(**(values | settings)), seed=0, run_dir=tmp_path)

    return make


def written(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.rglob("*") if path.is_file()]


def names(branches: tuple[Branch, ...]) -> list[str]:
    return [branch.name for branch in branches]


def test_it_looks_things_up_leaves_a_note_and_proposes(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    tmp_path: Path,
) -> None:
    usage = {
        "input_tokens": 1_000,
        "cache_creation_input_tokens": 20_000,
        "cache_read_input_tokens": 100_000,
        "output_tokens": 3_000,
    }
    good = text(spoken(branch("A new one!"), branch("b", 0.5)), usage=usage)
    answer = proposer(NOTES, use("note", {"text": "so far so good"}), good).propose(campaign())
    assert names(answer.proposal.branches) == ["a-new-one", "b"]
    (lane,) = answer.lanes
    assert (lane.source, lane.tool_turns, lane.repairs, lane.why) == ("claude", 2, 0, None)
    assert [(note.lane, note.text) for note in answer.notes] == [("1", "so far so good")]
    asked = claude.asked
    assert [one["model"] for one in asked] == ["claude-opus-5-5"] * 3
    assert asked[0]["output_config"]["effort"] == "high"
    assert asked[0]["output_config"]["format"]["type"] == "json_schema"
    assert asked[0]["thinking"] == {"type": "adaptive"}
    assert asked[0]["system"][0]["cache_control"] == {"type": "ephemeral"}
    # what the model said comes back to it unchanged, its signed thinking among it
    assert asked[1]["messages"][1] == {"role": "assistant", "content": NOTES.content}
    assert asked[1]["messages"][2]["content"][0]["content"] == "no note"
    assert len(claude.counted) == 1 + 3  # the check at the start, then before each request
    # 1,000 at 4, 20,000 at 5, 100,000 at 0.2 and 3,000 at 20 dollars a million, and what came before
    entries = read_transcript(tmp_path / "rounds" / "001" / "transcript-1.jsonl")
    spent = [entry.usage.usd for entry in entries if isinstance(entry, Received)]
    assert spent[2] == pytest.approx(0.184)
    assert lane.usage.usd == pytest.approx(sum(spent))
    assert lane.usage.requests == 3


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
    many = [branch(f"b{i}", i / 10) for i in range(5)]
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


@pytest.mark.parametrize(
    ("bad", "why", "requests"),
    [
        (text("no", stop="refusal"), "the model refused to answer", 1),
        (text("{"), "no proposal could be read after 2 repairs", 3),
        (Scripted(status=400, error="too long"), "the API gave no answer: 400 api_error: too long", 1),
        (Scripted(status=401, error="revoked"), "the API gave no answer: 401", 1),
        (Scripted(status=429, error="slow down"), "the API gave no answer: 429", 3),
        (Scripted(status=529, error="overloaded"), "the API gave no answer: 529", 3),
        (Scripted(status=500, error="sorry"), "the API gave no answer: 500", 3),
        (Scripted(drop=True), "the API gave no answer: the connection failed", 3),
        (Scripted(silent_s=2.0), "the API gave no answer: no answer within 0.3 s", 3),
        (Scripted(raw="<html>"), "the API gave no answer: the answer", 3),
        (Scripted(raw="[1, 2]"), "the API gave no answer: the answer", 3),
        (Scripted(raw='{"content": null}'), "the API gave no answer: the answer is no message", 3),
        (NOTES, "used tools in 5 turns without proposing anything", 5),
    ],
)
def test_whatever_fails_the_playbook_proposes_and_the_report_says_why(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    bad: Scripted,
    why: str,
    requests: int,
) -> None:
    timeout = 0.3 if bad.silent_s else 5.0
    ready = proposer(bad, backoff_s=(0.0, 0.0), tool_turns=2, timeout_s=timeout, max_usd=1000)
    answer = ready.propose(campaign())
    assert len(claude.asked) == requests
    lane, playbook = answer.lanes
    assert lane.source == "claude"
    assert lane.why is not None
    assert why in lane.why
    assert (playbook.source, playbook.why) == ("playbook", lane.why)
    assert len(answer.proposal.branches) == 4
    assert playbook.branches == tuple(names(answer.proposal.branches))


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


def test_the_tools_are_taken_away_after_the_last_turn(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    proposer(NOTES, NOTES, text(spoken(branch("a"))), tool_turns=1).propose(campaign())
    assert [one["tool_choice"]["type"] for one in claude.asked] == ["auto", "none", "none"]
    result = claude.asked[2]["messages"][-1]["content"][0]
    assert (result["is_error"], result["content"]) == (True, "no tool turn is left: send the proposal now")


def test_when_the_budget_is_spent_the_playbook_carries_on(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    costly = {"input_tokens": 0, "output_tokens": 20_000}  # 0.4 dollars
    ready = proposer(text(spoken(branch("a")), usage=costly), max_usd=0.45, max_tokens=20_000)
    assert ready.propose(campaign()).lanes[0].source == "claude"
    lane, playbook = ready.propose(campaign(round=2)).lanes
    assert len(claude.asked) == 1
    assert lane.budget_spent
    assert playbook.budget_spent
    assert str(playbook.why).startswith("the budget is spent: 0.4000 of 0.45 dollars")
    # and a process that takes the run over knows of it from the transcripts
    lane, _ = proposer(max_usd=0.45, max_tokens=20_000).propose(campaign(round=3)).lanes
    assert lane.budget_spent


def test_lanes_have_their_own_directions_and_transcripts_and_share_notes(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
    tmp_path: Path,
) -> None:
    def reply(body: dict[str, Any]) -> Scripted:
        opening = body["messages"][0]["content"][1]["text"]
        lane = "x" if "direction in this round: x" in opening else "y"
        if len(body["messages"]) == 1:
            return use("note", {"text": f"from {lane}"})
        return text(spoken(branch(lane, 0.1 if lane == "x" else 0.2), branch("both", 0.3)))

    claude.answer = reply
    answer = proposer(lanes=2, directions=("x", "y")).propose(campaign())
    assert names(answer.proposal.branches) == ["x", "both", "y"]
    assert [lane.direction for lane in answer.lanes] == ["x", "y"]
    assert [lane.branches for lane in answer.lanes] == [("x", "both"), ("y",)]
    assert "both-2: holds the same methods as the branch both" in answer.lanes[1].refused[0]
    assert sorted(note.text for note in answer.notes) == ["from x", "from y"]
    files = sorted(path.name for path in (tmp_path / "rounds" / "001").iterdir())
    assert files == ["transcript-1.jsonl", "transcript-2.jsonl"]


def test_one_lane_that_fails_does_not_stop_the_other(
    proposer: Propose, claude: ScriptedClaude, campaign: Callable[..., Findings], branch: Any, spoken: Any
) -> None:
    def reply(body: dict[str, Any]) -> Scripted:
        fails = "direction in this round: x" in body["messages"][0]["content"][1]["text"]
        return text("no", stop="refusal") if fails else text(spoken(branch("a")))

    claude.answer = reply
    answer = proposer(lanes=2, directions=("x", "y")).propose(campaign())
    assert names(answer.proposal.branches) == ["a"]
    assert [lane.why for lane in answer.lanes] == ["the model refused to answer", None]


def test_the_key_is_in_no_file_and_no_log(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    key: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ready = proposer(text("no", stop="refusal"))
    answer = ready.propose(campaign())
    claude.key = "another"  # from now on the server refuses the key, and repeats it in its message
    second = ready.propose(campaign(round=2))
    assert str(second.lanes[0].why).endswith("401 authentication_error: invalid key [key]")
    for place in (*written(tmp_path), answer.model_dump_json(), second.model_dump_json(), caplog.text):
        assert key not in place
        assert json.dumps(key)[1:-1] not in place


def test_a_key_that_turns_up_in_an_answer_is_blotted_out(
    proposer: Propose, campaign: Callable[..., Findings], key: str, tmp_path: Path
) -> None:
    answer = proposer(text(f"my key is {key}")).propose(campaign())
    (transcript,) = written(tmp_path)
    assert "my key is [key]" in transcript
    for place in (transcript, answer.model_dump_json()):
        assert key not in place
        assert json.dumps(key)[1:-1] not in place


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


def test_an_api_out_of_reach_at_the_start_does_not_stop_the_search(
    key: str, campaign: Callable[..., Findings]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    config = ClaudeConfig(base_url=url, retries=0, backoff_s=())
    answer = ClaudeProposer(config, seed=0, run_dir=None).propose(campaign())
    assert "the connection failed" in str(answer.lanes[0].why)
    assert answer.lanes[0].usage.usd == 0
    assert len(answer.proposal.branches) == 4
