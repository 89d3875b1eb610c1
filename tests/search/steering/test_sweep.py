from pathlib import Path

import pytest

from search.ledger.steered import Course, Steered
from search.steering.order import Order
from search.steering.sweep import SweepState, SweepStates, order_of, read_state


def test_a_state_is_left_when_it_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "wandb").mkdir()
    assert read_state(tmp_path) is None
    states = SweepStates(tmp_path)
    seen = []
    for state in ("RUNNING", "running", "Paused", "PAUSED"):
        states.saw(state)
        seen.append(read_state(tmp_path))
    running, paused = SweepState(state="RUNNING", changed=False), SweepState(state="PAUSED", changed=True)
    assert seen == [running, running, paused, paused]
    SweepStates(tmp_path).saw("PAUSED")  # another process finds it so
    assert read_state(tmp_path) == SweepState(state="PAUSED", changed=False)


def test_a_damaged_file_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "sweep.json").write_text("{")
    assert read_state(tmp_path) is None


@pytest.mark.parametrize(
    ("state", "changed", "order"),
    [
        ("PAUSED", True, Order(pause=True)),
        ("PAUSED", False, None),
        ("FINISHED", True, Order(finish=True)),
        ("FINISHED", False, None),
        ("CANCELED", True, Order(finish=True)),
        ("RUNNING", True, None),
        ("PENDING", True, None),
    ],
)
def test_what_a_state_asks(state: str, changed: bool, order: Order | None) -> None:
    assert order_of(SweepState(state=state, changed=changed), Course()) == order


def test_a_sweep_that_runs_ends_its_own_pause_only() -> None:
    course = Course()
    course.apply(Steered(by="steer", paused=True))
    running = SweepState(state="RUNNING", changed=False)
    assert order_of(running, course) is None
    course.apply(Steered(by="wandb", paused=True))
    assert order_of(running, course) == Order(pause=False)
