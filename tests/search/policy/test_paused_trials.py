import numpy as np

from search.policy.paused_trials import Waiter, WaitingRoom


def waiter(trial: str, value: float, rung: int = 0, branch: str = "one") -> Waiter:
    return Waiter(trial=trial, branch=branch, point=np.zeros(1), rung=rung, value=value)


def test_the_lowest_of_too_many_leaves() -> None:
    room = WaitingRoom(2)
    assert room.enter(waiter("a", 0.3)) is None
    assert room.enter(waiter("b", 0.1)) is None
    assert room.enter(waiter("c", 0.2)).trial == "b"
    assert room.enter(waiter("d", 0.1)).trial == "d"
    assert [one.trial for one in room] == ["a", "c"]


def test_of_equals_the_last_to_come_leaves() -> None:
    room = WaitingRoom(2)
    assert [room.enter(waiter(name, 0.5)) for name in "ab"] == [None, None]
    assert room.enter(waiter("c", 0.5)).trial == "c"


def test_every_rung_has_its_own_seats_and_the_lower_ones_come_first() -> None:
    room = WaitingRoom(1)
    high, low = waiter("high", 0.1, rung=1), waiter("low", 0.9)
    assert (room.enter(high), room.enter(low)) == (None, None)
    assert list(room) == [low, high]


def test_who_leaves_makes_room() -> None:
    room, first, second = WaitingRoom(1), waiter("a", 0.9), waiter("b", 0.1)
    room.enter(first)
    room.leave(first)
    assert room.enter(second) is None
    assert list(room) == [second]


def test_the_branch_with_the_most_seats_gives_one_up() -> None:
    room = WaitingRoom(3)
    for name, value in (("a", 0.9), ("b", 0.7), ("c", 0.8)):
        assert room.enter(waiter(name, value)) is None
    assert room.enter(waiter("weak", 0.1, branch="two")).trial == "b"
    assert room.enter(waiter("weaker", 0.0, branch="two")).trial == "weaker"  # two of each: the worst of all
    assert [one.trial for one in room] == ["a", "c", "weak"]
