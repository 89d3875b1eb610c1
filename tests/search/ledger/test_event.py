import time

import pytest

from search.ledger.event import Event, now


def test_time_goes_on_when_somebody_sets_the_clock_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert first <= now() < first + 60
    assert first <= Event().at < first + 60
