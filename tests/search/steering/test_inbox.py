import os
from pathlib import Path

import pytest

from search.config.schema import RunConfig
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.steering import inbox as module
from search.steering.inbox import Box, Inbox
from search.steering.order import Order, put_order
from search.steering.sweep import SweepStates
from search.storage.run_directory import RunDirectory, new_run


class Recorder:
    """Follows orders by writing them down."""

    def __init__(self, run: RunDirectory, record: Record) -> None:
        self.ledger = Ledger(run.ledger, record.apply)

    def steer(self, order: Steered) -> None:
        self.ledger.append(order)


@pytest.fixture
def run(tmp_path: Path, config: RunConfig) -> RunDirectory:
    return new_run(tmp_path / "run", config)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look counts."""
    monkeypatch.setattr(module, "POLL_S", 0.0)


def look(run: RunDirectory, record: Record, times: int = 3) -> list[str]:
    """What a process at work on the run says while it looks so often."""
    said: list[str] = []
    follower, inbox = Recorder(run, record), Inbox(run, record, said.append)
    for _ in range(times):
        inbox.look(follower)
    return said


def test_an_order_is_taken_once_and_written_down(run: RunDirectory, record: Record) -> None:
    put_order(str(run.path), Order(trials=20))
    assert look(run, record) == ["steered: search.trials is now 20"]
    assert not (run.path / "steer.yaml").exists()
    config = run.read_config()
    assert config.search.trials == 20
    assert record.config_sha256 == config.sha256
    assert look(run, record) == []


def test_a_file_that_is_still_being_written_is_left(run: RunDirectory, record: Record) -> None:
    box, file = Box(run.path), run.path / "steer.yaml"
    file.touch()
    assert [box.take(), box.take()] == [None, None]  # an editor has made it, and not yet filled it
    file.write_text("trials: 2")
    assert box.take() is None
    file.write_text("trials: 20")
    assert box.take() is None
    found = box.take()
    assert found is not None
    assert found[1] == b"trials: 20"


def test_an_order_that_is_in_the_ledger_is_not_taken_again(run: RunDirectory, record: Record) -> None:
    """The process ended between the ledger and the file."""
    put_order(str(run.path), Order(pause=True))
    text = (run.path / "steer.yaml").read_bytes()
    assert look(run, record) == ["steered: paused: no trial starts"]
    (run.path / ".steer-taken.yaml").write_bytes(text)
    assert look(run, record) == []
    assert not (run.path / ".steer-taken.yaml").exists()
    assert len(record.course.orders) == 1


def test_an_order_that_a_dying_process_had_taken_out_is_taken(run: RunDirectory, record: Record) -> None:
    (run.path / ".steer-taken.yaml").write_text("pause: true")
    assert look(run, record) == ["steered: paused: no trial starts"]
    assert record.course.paused


def test_the_same_words_again_are_another_order(run: RunDirectory, record: Record) -> None:
    for second in (1, 2):
        (run.path / "steer.yaml").write_text("pause: true")
        os.utime(run.path / "steer.yaml", (second, second))
        look(run, record)
    assert len(record.course.orders) == 2


def test_a_mistake_is_refused_in_the_ledger_and_the_log(run: RunDirectory, record: Record) -> None:
    (run.path / "steer.yaml").write_text("trails: 20")
    [line] = look(run, record)
    assert line.startswith("steered: refused: steer.yaml: trails")
    [order] = record.course.orders
    assert order.refused
    assert not (run.path / "steer.yaml").exists()


def test_whatever_lies_there_is_refused_and_the_run_goes_on(run: RunDirectory, record: Record) -> None:
    for text in (3000 * "[", "2020-01-01: 9", 300_000 * "x"):
        (run.path / ".steer-taken.yaml").write_text(text)
        [line] = look(run, record)
        assert line.startswith("steered: refused: steer.yaml: ")
        assert len(line) < 300
    assert list(run.path.glob("*steer*")) == []


def test_the_page_of_a_sweep_pauses_the_run_and_lets_it_go_on(run: RunDirectory, record: Record) -> None:
    (run.path / "wandb").mkdir()
    said: list[str] = []
    states, follower, inbox = SweepStates(run.path), Recorder(run, record), Inbox(run, record, said.append)
    for state in ("RUNNING", "PAUSED", "RUNNING", "FINISHED"):
        states.saw(state)
        for _ in range(2):
            inbox.look(follower)
    assert [(order.by, order.paused, order.finish) for order in record.course.orders] == [
        ("wandb", True, False),
        ("wandb", False, False),
        ("wandb", None, True),
    ]
    assert said[0] == "steered on W&B's page: paused: no trial starts"
    assert not record.course.paused


def test_config_yaml_follows_a_ledger_that_is_ahead(run: RunDirectory, record: Record) -> None:
    put_order(str(run.path), Order(trials=20))
    before = run.read_config()
    look(run, record)
    run.write_config(before)  # as if the process had ended before it wrote the file
    assert run.settled(before, record).search.trials == 20
    assert run.read_config().search.trials == 20


def test_a_file_that_cannot_be_taken_does_not_end_the_run(
    run: RunDirectory, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    (run.path / ".steer-taken.yaml").mkdir()
    put_order(str(run.path), Order(pause=True))
    assert look(run, record) == []
    assert caplog.text.count("steer.yaml cannot be taken") == 1


@pytest.mark.parametrize("name", ["steer.yaml", ".steer-taken.yaml"])
def test_a_folder_in_its_place_is_named_and_holds_up_no_later_order(
    run: RunDirectory, record: Record, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (run.path / name).mkdir()
    said: list[str] = []
    follower, inbox = Recorder(run, record), Inbox(run, record, said.append)
    for _ in range(3):
        inbox.look(follower)
    assert caplog.messages == [f"steer.yaml cannot be taken: {name} is a folder; remove it"]
    (run.path / name).rmdir()
    put_order(str(run.path), Order(trials=20))
    for _ in range(3):
        inbox.look(follower)
    assert said == ["steered: search.trials is now 20"]
