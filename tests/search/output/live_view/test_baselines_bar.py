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
