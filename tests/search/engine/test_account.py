"""The ledger knows of a request before it is sent, whatever becomes of it."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agents.claude.budget import AccountClosedError
from agents.claude.transcript import Received, Transcript
from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from search.engine.account import LedgerAccount
from search.ledger.events import LaneAnswered, RequestReserved, RequestSettled
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.storage import object_store
from tests.servers.s3 import s3_server

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


@pytest.mark.slow
def test_a_reservation_is_in_object_storage_before_its_request_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine may have to go on without this one's disk."""
    monkeypatch.setattr(object_store, "LOCAL_COPIES", tmp_path / "copies")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    record = Record()
    account = LedgerAccount(record)
    with s3_server() as (endpoint, stored):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with object_store.run_path("s3://bucket/runs/one?region=us-east-1") as path:
            path.mkdir(parents=True, exist_ok=True)
            with (
                closing(Ledger(path / "ledger.jsonl", record.apply)) as ledger,
                account.writing(ledger, path),
            ):
                account.reserve((1, "1"), 0.5)
                assert any(b"request_reserved" in content for content in stored.objects.values())
                stored.down = True
                with pytest.raises(OSError, match="the run's storage cannot be written"):
                    account.reserve((1, "1"), 0.25)
                stored.down = False
            assert record.bill.usd == 0.5
