"""The cap and the ledger against a provider that bills the worst it can; `--runs 300` of it are measured."""

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from agents.claude.proposer import ClaudeProposer
from agents.settings import ClaudeConfig
from benchmarks.agent.money import ANSWERS, LOST, Outcome, measured, nothing_known
from search.engine.account import LedgerAccount
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from tests.servers.messages_api import Scripted, ScriptedClaude, in_turn, tokens_of, use


@pytest.mark.slow
def test_no_bill_exceeds_the_cap_or_the_ledger() -> None:
    found = measured(runs=12)
    assert (found.runs_over_cap, found.runs_understated) == (0, 0)
    # and the runs did meet what breaks a careless ledger
    assert found.kills >= 3
    assert found.requests.total() > 80
    assert len(found.requests) > 20
    assert sum(found.requests[kind] for kind in LOST) > 30
    assert found.requests.keys() <= ANSWERS.keys()


def test_a_bill_above_the_cap_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(seed: int, outcome: Outcome) -> None:
        outcome.runs += 1
        outcome.note(over_cap=0.25, understated=0.5)

    monkeypatch.setattr("benchmarks.agent.money.run", careless)
    found = measured(runs=2)
    assert (found.runs, found.runs_over_cap, found.runs_understated) == (2, 2, 2)
    assert (found.over_cap, found.understated) == (0.25, 0.5)


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
    looks = use("read_notes", {"round": None})
    script = ScriptedClaude(answer=in_turn(looks, Scripted(silent_s=60.0)))  # the first lane comes first
    with script.serving():
        child = subprocess.Popen([sys.executable, "-c", CHILD, script.url, str(tmp_path)])
        while len(script.asked) < 1 + 3:
            assert child.poll() is None
            time.sleep(0.02)
        child.kill()
        child.wait()
        record = Record.of(read_ledger(tmp_path / "ledger.jsonl"))
        bill = sum((tokens_of(body) * 5 + body["max_tokens"] * 20) / 1e6 for body in script.asked[1:])
        assert 1.9 < bill <= record.bill.unanswered_usd < record.bill.usd < 2.2
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
        assert len(script.asked) > 1 + 3
        bill = sum((tokens_of(body) * 5 + body["max_tokens"] * 20) / 1e6 for body in script.asked[1:])
        assert bill <= record.bill.usd <= 2.5
