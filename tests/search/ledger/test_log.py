"""Following a ledger while another process writes it; test_events.py has the ledger itself."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.ledger.events import FORMAT, AnyEvent, Interrupted
from search.ledger.log import Ledger, LedgerFollower, read_ledger


def line(event: AnyEvent) -> bytes:
    return event.model_dump_json().encode() + b"\n"


@pytest.fixture
def three(events: SimpleNamespace) -> list[AnyEvent]:
    return [events.run_started(), events.started("t1"), events.ended("t1")]


def test_every_event_is_told_once(tmp_path: Path, three: list[AnyEvent]) -> None:
    follower, ledger = LedgerFollower(tmp_path / "l"), Ledger(tmp_path / "l")
    seen = []
    for event in three:
        ledger.append(event)
        new = follower.read()
        assert not new.restarted
        seen += new.events
        assert follower.read().events == []
    ledger.append(Interrupted())
    ledger.append(Interrupted())
    assert len(follower.read().events) == 2
    ledger.close()
    assert seen == three == read_ledger(tmp_path / "l")[:3]


def test_only_what_was_appended_is_read(
    tmp_path: Path, three: list[AnyEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l"
    path.write_bytes(b"".join(map(line, three * 1000)))
    follower = LedgerFollower(path)
    assert len(follower.read().events) == 3000
    # Whatever stands before the last line read may be anything now: it is not looked at again.
    whole = path.read_bytes()
    kept = len(line(three[-1]))
    path.write_bytes(b"x" * (len(whole) - kept) + whole[-kept:] + line(Interrupted(at=1.0)))
    new = follower.read()
    assert new.events == [Interrupted(at=1.0)]
    assert not new.restarted


@pytest.mark.parametrize(
    ("second", "remedy"),
    [
        (b'{"at":1.0,"event":"sang"}', "a newer version wrote it: go on with that one"),
        (b'{"at":1.0,"event":"resumed","mood":"fine"}', "a newer version wrote it: go on with that one"),
        (b"\0" * 40, "restore it from a copy"),
        (b'{"at":1.0,"event":"resu', "restore it from a copy"),
    ],
)
def test_a_line_that_cannot_be_read_says_what_to_do(
    tmp_path: Path, three: list[AnyEvent], second: bytes, remedy: str
) -> None:
    path = tmp_path / "l"
    path.write_bytes(line(three[0]) + second + b"\n" + line(three[1]))
    with pytest.raises(ValueError, match=rf"l: line 2 cannot be read \(.*\); {remedy}") as caught:
        read_ledger(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "found", "remedy"),
    [
        ("", "1, today", "an earlier version wrote it: go on with that one, or start a new run"),
        ('"format":1,', "1, today", "an earlier version wrote it: go on with that one, or start a new run"),
        ('"format":99,', "99, today", "a newer version wrote it: go on with that one"),
        ('"format":"new",', "'new', today", "a newer version wrote it: go on with that one"),
    ],
)
def test_a_ledger_whose_methods_are_of_another_format_is_refused(
    tmp_path: Path, three: list[AnyEvent], written: str, found: str, remedy: str
) -> None:
    path = tmp_path / "l"
    today = line(three[0]).decode()
    path.write_text(today.replace(f'"format":{FORMAT},', written))
    assert path.read_text() != today
    refusal = rf"l: line 1 cannot be read \(its methods are of format {found}'s of {FORMAT}\); {remedy}$"
    with pytest.raises(ValueError, match=refusal):
        read_ledger(path)
    with pytest.raises(ValueError, match=refusal):
        LedgerFollower(path).read()


def test_a_line_that_is_being_written_waits(tmp_path: Path, three: list[AnyEvent]) -> None:
    path, follower = tmp_path / "l", LedgerFollower(tmp_path / "l")
    first, second, third = map(line, three)
    path.write_bytes(first + second[:20])
    assert follower.read().events == three[:1]
    assert follower.read().events == []
    path.write_bytes(first + second + third[:-1])  # all but the newline
    assert follower.read().events == three[1:2]
    path.write_bytes(first + second + third)
    assert follower.read().events == three[2:]


def test_a_cut_line_that_a_resumed_run_removes_was_never_told(tmp_path: Path, three: list[AnyEvent]) -> None:
    path, follower = tmp_path / "l", LedgerFollower(tmp_path / "l")
    path.write_bytes(line(three[0]) + line(three[1])[:-9])
    assert follower.read().events == three[:1]
    ledger = Ledger(path)  # removes the cut line
    ledger.append(Interrupted(at=1.0))
    ledger.close()
    new = follower.read()
    assert new.events == [Interrupted(at=1.0)]
    assert not new.restarted


def test_a_file_that_was_cut_short_starts_over(tmp_path: Path, three: list[AnyEvent]) -> None:
    path, follower = tmp_path / "l", LedgerFollower(tmp_path / "l")
    path.write_bytes(b"".join(map(line, three)))
    follower.read()
    os.truncate(path, len(line(three[0])))
    new = follower.read()
    assert new.restarted
    assert new.events == three[:1]
    assert not follower.read().restarted


@pytest.mark.parametrize("length", [1, 3, 9])
def test_a_file_that_was_replaced_starts_over_however_long_it_is(
    tmp_path: Path, three: list[AnyEvent], events: SimpleNamespace, length: int
) -> None:
    path, follower = tmp_path / "l", LedgerFollower(tmp_path / "l")
    path.write_bytes(b"".join(map(line, three)))
    follower.read()
    others = [events.run_started(run="other"), *(events.started(f"u{i}") for i in range(length - 1))]
    (tmp_path / "new").write_bytes(b"".join(map(line, others)))
    os.replace(tmp_path / "new", path)
    new = follower.read()
    assert new.restarted
    assert new.events == others


def test_a_copy_that_only_grew_does_not_start_over(tmp_path: Path, three: list[AnyEvent]) -> None:
    path, follower = tmp_path / "l", LedgerFollower(tmp_path / "l")
    path.write_bytes(b"".join(map(line, three[:2])))
    follower.read()
    (tmp_path / "new").write_bytes(b"".join(map(line, three)))
    os.replace(tmp_path / "new", path)
    new = follower.read()
    assert new.events == three[2:]
    assert not new.restarted


def test_a_file_that_is_not_there_yet_or_no_longer_holds_no_events(
    tmp_path: Path, three: list[AnyEvent]
) -> None:
    path, follower = tmp_path / "l", LedgerFollower(tmp_path / "l")
    assert follower.read().events == []
    path.write_bytes(line(three[0]))
    assert follower.read().events == three[:1]
    path.unlink()
    new = follower.read()
    assert (new.events, new.restarted) == ([], True)


def test_a_line_that_cannot_be_read_is_named_by_its_number_in_the_file(
    tmp_path: Path, three: list[AnyEvent]
) -> None:
    path, follower = tmp_path / "l", LedgerFollower(tmp_path / "l")
    path.write_bytes(line(three[0]) + line(three[1]))
    follower.read()
    with path.open("ab") as file:
        file.write(line(three[2]) + b'{"event":"no such"}\n')
    with pytest.raises(
        ValueError, match=r"line 4 cannot be read .*; a newer version wrote it: go on with that one"
    ):
        follower.read()
