"""The ledger knows of a request before it is sent, whatever becomes of it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agents.claude.budget import AccountClosedError
from agents.claude.proposer import ClaudeProposer
from agents.claude.transcript import Received, Transcript
from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from agents.settings import ClaudeConfig
from benchmarks.agent.money import nothing_known
from search.engine.account import LedgerAccount
from search.ledger.events import LaneAnswered, RequestReserved, RequestSettled
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from tests.servers.messages_api import Scripted, ScriptedClaude, tokens_of

ANSWERED = Usage(requests=1, output_tokens=7, usd=0.125)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.jsonl")) as ledger:
        yield ledger


def test_a_reservation_is_on_the_disk_before_its_request_is_sent(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Record()
    ledger.listen(record.apply)
    account = LedgerAccount(record)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with account.writing(ledger, tmp_path):
        request = account.reserve((2, "1"), 0.5)
        (event,) = read_ledger(tmp_path / "ledger.jsonl")
        assert isinstance(event, RequestReserved)
        assert (event.request, event.round, event.lane, event.usd) == (request, 2, "1", 0.5)
        assert len(synced) == 1
        account.settle(request, ANSWERED)
        assert account.usd == 0.125
        account.reserve((2, "1"), 0.5)
    # a process that takes over reads the same from the ledger: the second request has no answer
    again = LedgerAccount(Record.of(read_ledger(tmp_path / "ledger.jsonl")))
    assert again.usd == account.usd == 0.625
    assert again.usage((2, "1")) == Usage(requests=1, output_tokens=7, usd=0.625)
    assert again.usage((1, "1")) == Usage()


def test_after_the_end_nothing_is_sent_and_nothing_settled(tmp_path: Path, ledger: Ledger) -> None:
    record = Record()
    ledger.listen(record.apply)
    account = LedgerAccount(record)
    with pytest.raises(AccountClosedError):
        account.reserve((1, "1"), 0.5)
    with account.writing(ledger, tmp_path):
        request = account.reserve((1, "1"), 0.5)
    account.settle(request, ANSWERED)  # its answer comes too late to be written down
    with pytest.raises(AccountClosedError):
        account.reserve((1, "1"), 0.5)
    assert [type(event) for event in read_ledger(tmp_path / "ledger.jsonl")] == [RequestReserved]
    assert account.usd == 0.5


def test_the_cost_of_an_earlier_version_is_carried_over_once(tmp_path: Path, ledger: Ledger) -> None:
    """It kept its usage in lanes' reports and in transcripts, of which a crash may have spared either."""
    record = Record()
    ledger.listen(record.apply)
    for lane in ("1", "2"):
        report = LaneReport(lane=lane, direction="", source="claude", branches=(), usage=ANSWERED)
        ledger.append(LaneAnswered(round=1, lane=report))
    ledger.append(
        LaneAnswered(round=1, lane=LaneReport(lane="playbook", direction="", source="playbook", branches=()))
    )
    more = Usage(requests=2, output_tokens=9, usd=0.25)
    for number, lane in ((1, "2"), (2, "1")):
        path = tmp_path / "rounds" / f"{number:03d}" / f"transcript-{lane}.jsonl"
        Transcript(path, "").write(Received(stop="end_turn", content=[], usage=more))
    for _ in range(2):
        account = LedgerAccount(record)
        with account.writing(ledger, tmp_path):
            assert account.usd == 0.125 + 0.25 + 0.25
    assert record.bill.by_lane() == {(1, "1"): ANSWERED, (1, "2"): more, (2, "1"): more}
    events = read_ledger(tmp_path / "ledger.jsonl")
    assert sum(isinstance(event, RequestReserved) for event in events) == 3
    assert sum(isinstance(event, RequestSettled) for event in events) == 3
    assert Record.of(events).bill.by_lane() == record.bill.by_lane()


CHILD = """
import sys
from pathlib import Path
from benchmarks.agent.money import nothing_known
from agents.claude.proposer import ClaudeProposer
from agents.settings import ClaudeConfig
from search.engine.account import LedgerAccount
from search.ledger.log import Ledger
from search.ledger.record import Record
url, folder = sys.argv[1], Path(sys.argv[2])
record = Record()
account = LedgerAccount(record)
with account.writing(Ledger(folder / "ledger.jsonl", record.apply), folder):
    config = ClaudeConfig(base_url=url, lanes=3, max_usd=2.5)
    ClaudeProposer(config, seed=0, run_dir=folder, account=account).propose(nothing_known(1))
"""


@pytest.mark.slow
def test_requests_in_flight_at_a_kill_count_in_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    script = ScriptedClaude(answer=lambda body: Scripted(silent_s=60.0))
    with script.serving():
        child = subprocess.Popen([sys.executable, "-c", CHILD, script.url, str(tmp_path)])
        while len(script.asked) < 3:
            assert child.poll() is None
            time.sleep(0.02)
        child.kill()
        child.wait()
        record = Record.of(read_ledger(tmp_path / "ledger.jsonl"))
        bill = sum((tokens_of(body) * 5 + body["max_tokens"] * 20) / 1e6 for body in script.asked)
        assert 1.9 < bill <= record.bill.usd == record.bill.unanswered_usd < 2.2
        script.answer = lambda body: Scripted(drop=True)
        account = LedgerAccount(record)
        with (
            closing(Ledger(tmp_path / "ledger.jsonl", record.apply)) as ledger,
            account.writing(ledger, tmp_path),
        ):
            config = ClaudeConfig(base_url=script.url, lanes=3, max_usd=2.5, backoff_s=(0.0,) * 5, retries=0)
            proposer = ClaudeProposer(config, seed=0, run_dir=tmp_path, account=account)
            proposed = proposer.propose(nothing_known(1))
        assert any(lane.budget_spent for lane in proposed.lanes)
        assert len(script.asked) > 3
        bill = sum((tokens_of(body) * 5 + body["max_tokens"] * 20) / 1e6 for body in script.asked)
        assert bill <= record.bill.usd <= 2.5
