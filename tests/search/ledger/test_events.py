import logging
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.ledger.events import (
    AnyEvent,
    BranchesRefused,
    Finished,
    Interrupted,
    Proposed,
    Resumed,
    TestOpened,
    TrialEnded,
    WorkerLost,
)
from search.ledger.log import Ledger, read_ledger


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk does: the bytes that still fit are written, then none."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write(path: Path, *written: AnyEvent) -> None:
    ledger = Ledger(path)
    for event in written:
        ledger.append(event)
    ledger.close()


def test_every_event_is_read_back_as_it_was_written(
    tmp_path: Path, events: SimpleNamespace, branch: Callable[..., Branch]
) -> None:
    written = [
        events.run_started(),
        events.baselines(),
        Proposed(round=1, proposal=Proposal(branches=(branch("one"),), rationale="a\nb"), seconds=1.5),
        events.started("t00001"),
        events.reached("t00001", 1 / 9),
        events.ended("t00001", "failed", "Diverged: the loss\ris nan  "),
        events.started("c00001", purpose="confirm", number=None),
        events.reached("c00001", 1.0, None),
        TestOpened(queries=3),
        Interrupted(),
        Resumed(code={"commit": "abc", "torch": "2"}),
        events.run_started(sources={"salt": "5a", "digests": {"test.truth": "d"}, "commits": {"task": "c"}}),
        TestOpened(queries=3, digest="d", examples=2, earlier=({"run": "a", "at": 1.5, "shared": 1},)),
        Finished(),
    ]
    write(tmp_path / "ledger.jsonl", *written)
    assert read_ledger(tmp_path / "ledger.jsonl") == written
    assert (tmp_path / "ledger.jsonl").read_bytes().count(b"\n") == len(written)


def test_text_of_any_origin_can_be_written_and_moves_no_cursor(
    tmp_path: Path, events: SimpleNamespace
) -> None:
    """Causes quote data, in which JSON may spell a lone surrogate and a CSV hold an escape sequence."""
    hostile = "ValueError: text \ud800\x1b[2J\nends"
    write(
        tmp_path / "l",
        events.ended("t1", "failed", hostile),
        WorkerLost(trial="t2", node=None, cause=hostile),
        BranchesRefused(round=1, reasons=(hostile,)),
    )
    ended, lost, refused = read_ledger(tmp_path / "l")
    plain = "ValueError: text ??[2J\nends"
    assert isinstance(ended, TrialEnded)
    assert isinstance(lost, WorkerLost)
    assert isinstance(refused, BranchesRefused)
    assert (ended.cause, lost.cause, refused.reasons) == (plain, plain, (plain,))


@pytest.mark.parametrize("share", [1 / 9, 1 / 3, 0.1 + 0.2, 2 / 3, 1.0])
def test_a_share_keeps_its_last_bit(tmp_path: Path, events: SimpleNamespace, share: float) -> None:
    write(tmp_path / "l", events.reached("t1", share))
    [event] = read_ledger(tmp_path / "l")
    assert event.share == share


def test_a_last_line_cut_short_is_left_out(
    tmp_path: Path, events: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, events.run_started(), events.started("t00001"))
    whole = path.read_bytes()
    first_line = whole.index(b"\n") + 1
    for cut in range(first_line + 1, len(whole)):
        path.write_bytes(whole[:cut])
        assert [event.event for event in read_ledger(path)] == ["run_started"]
    assert "line 2 was cut short by a crash and is left out" in caplog.text


def test_a_file_with_half_a_line_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b'{"at":1.0,"ev')
    assert read_ledger(tmp_path / "ledger.jsonl") == []


@pytest.mark.parametrize("damage", [b"{nonsense\n", b"\0\0\0\n", b"\xff\n"])
def test_an_unreadable_line_in_the_middle_is_named(
    tmp_path: Path, events: SimpleNamespace, damage: bytes
) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, events.run_started(), events.started("t00001"))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + second)
    with pytest.raises(ValueError, match=r"ledger\.jsonl: line 2 cannot be read .* restore it") as caught:
        read_ledger(path)
    assert "\n" not in str(caught.value)


def test_appending_after_a_cut_line_goes_on_behind_the_last_whole_one(
    tmp_path: Path, events: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, events.run_started(), events.started("t00001"))
    path.write_bytes(path.read_bytes()[:-7])
    write(path, Resumed())
    with caplog.at_level(logging.WARNING):
        assert [event.event for event in read_ledger(path)] == ["run_started", "resumed"]
    assert not caplog.records


def test_listeners_hear_of_an_event_in_order_once_it_is_on_the_disk(
    tmp_path: Path, events: SimpleNamespace
) -> None:
    path, heard = tmp_path / "ledger.jsonl", []
    ledger = Ledger(
        path,
        lambda event: heard.append(("first", event.event, len(read_ledger(path)))),
        lambda event: heard.append(("second", event.event, len(read_ledger(path)))),
    )
    ledger.append(events.run_started())
    ledger.append(events.started("t00001"))
    ledger.close()
    assert heard == [
        ("first", "run_started", 1),
        ("second", "run_started", 1),
        ("first", "trial_started", 2),
        ("second", "trial_started", 2),
    ]


@pytest.mark.parametrize("room", [0, 40])
def test_a_full_disk_leaves_whole_lines_and_silent_listeners(
    tmp_path: Path, events: SimpleNamespace, room: int
) -> None:
    path, heard = tmp_path / "ledger.jsonl", []
    ledger = Ledger(path, lambda event: heard.append(event.event))
    ledger.append(events.run_started())
    before = path.read_bytes()
    with (
        no_file_larger_than(len(before) + room),
        pytest.raises(OSError, match=r"is the disk full|File too large"),
    ):
        ledger.append(events.started("t00001"))
    assert path.read_bytes() == before
    assert heard == ["run_started"]


@pytest.mark.parametrize("room", [0, 40])
def test_writing_goes_on_when_the_disk_has_room_again(
    tmp_path: Path, events: SimpleNamespace, room: int
) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.append(events.run_started())
    with no_file_larger_than(path.stat().st_size + room), pytest.raises(OSError, match=r"."):
        ledger.append(events.started("t00001"))
    ledger.append(Interrupted())
    ledger.close()
    assert [event.event for event in read_ledger(path)] == ["run_started", "interrupted"]
