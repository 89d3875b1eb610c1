from io import StringIO

import pytest
from rich.console import Console

from search.output.live_view import baselines_bar as module
from search.output.live_view.baselines_bar import BaselinesBar, seconds_left
from tests.search.output.conftest import shown


def test_the_time_left_follows_from_those_that_were_trained() -> None:
    assert seconds_left(40.0, 4, 12) == 120.0
    assert seconds_left(40.0, 0, 12) is None
    assert seconds_left(40.0, 16, 0) == 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then(clock: list[float]) -> None:
    console = Console(file=StringIO(), width=40, force_terminal=False)
    with BaselinesBar(console, "weak floor and ceiling") as bar:
        bar.show(8, 24)  # eight were in the cache
        for seconds, done in ((10, 8), (20, 8), (30, 10), (5, 10), (30, 12), (30, 24)):
            clock[0] += seconds
            bar.show(done, 24)
    assert shown(console).splitlines() == [
        "weak floor and ceiling: 8 of 24 there",
        "weak floor and ceiling: 10 of 24 there, about 7 min 0 s left",
        "weak floor and ceiling: 12 of 24 there, about 4 min 45 s left",
    ]


def test_a_terminal_gets_a_bar(clock: list[float]) -> None:
    console = Console(file=StringIO(), width=80, force_terminal=True)
    with BaselinesBar(console, "weak floor and ceiling") as bar:
        bar.show(0, 4)
        clock[0] += 10
        bar.show(1, 4)
    assert "1/4" in shown(console)
    assert "about 30 s" in shown(console)


LEFT = {"baselines": 20.0, "search": 60.0, "replicate": 30.0, "confirm": 10.0, "hidden": 0.0}
WHOLE = "the whole run: about 2 min 0 s left (search 1 min 0 s, replication 30 s, confirmation 10 s)"


def test_a_log_says_how_long_the_run_will_take_as_soon_as_it_is_known(clock: list[float]) -> None:
    console = Console(file=StringIO(), width=40, force_terminal=False)
    known: list[dict[str, float]] = []
    with BaselinesBar(console, "weak floor and ceiling", lambda: known[0] if known else None) as bar:
        bar.show(0, 4)
        known.append(LEFT)
        for seconds in (1, 2, 30):
            clock[0] += seconds
            bar.show(0, 4)
    line = f"weak floor and ceiling: 0 of 4 there, about 20 s left; {WHOLE}"
    assert shown(console).splitlines() == [line, line]


def test_a_terminal_shows_it_below_the_bar(clock: list[float]) -> None:
    console = Console(file=StringIO(), width=100, force_terminal=True)
    with BaselinesBar(console, "weak floor and ceiling", lambda: LEFT) as bar:
        bar.show(1, 4)
        bar.show(4, 4)
    text = shown(console)
    assert "1/4" in text
    assert "about 20 s" in text
    assert WHOLE in text
    assert "about 20 s" not in text.partition("4/4")[2]


def test_while_features_are_computed_that_is_said_at_once(clock: list[float]) -> None:
    console, terminal = (Console(file=StringIO(), width=90, force_terminal=force) for force in (False, True))
    left: list[float | None] = [None]
    for shown_on in (console, terminal):
        with BaselinesBar(shown_on, "weak floor and ceiling", features=lambda: left[0]) as bar:
            for left[0] in (None, 22.0, 20.0, None):
                bar.show(0, 4)
                clock[0] += 2
    assert shown(console).splitlines() == [
        "weak floor and ceiling: 0 of 4 there, frozen features in about 22 s"
    ]
    assert "frozen features in about 20 s" in shown(terminal)
