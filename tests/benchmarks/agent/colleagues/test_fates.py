import pytest

from benchmarks.agent.colleagues.fates import Fate, ahead, by_fate


def fate(end: str, best: float | None, found: float | None = None, kind: str = "sound") -> Fate:
    return Fate(kind=kind, end=end, rows=2, best=best, whole=0.9, found=found)  # type: ignore[arg-type]


def test_accepted_against_refused_by_campaign() -> None:
    campaigns = [
        [fate("accepted", 0.6), fate("accepted", 0.4), fate("critic", 0.2), fate("critic", None)],
        [fate("accepted", 0.9), fate("critic", 0.8)],
        [fate("accepted", 0.9), fate("checks", 0.1)],
    ]
    found = ahead(campaigns, "critic")
    assert found == {"mean": pytest.approx(0.2), "se": pytest.approx(0.1), "campaigns": 2}
    assert ahead(campaigns[:1], "checks") is None


def test_a_line_for_each_kind_and_end() -> None:
    found = by_fate(
        [[fate("accepted", 0.6, 0.5), fate("accepted", None)], [fate("critic", 0.2, None, "beside")]]
    )
    assert set(found) == {"sound, accepted", "beside, critic"}
    assert found["sound, accepted"] == {"branches": 1.0, "rows": 2.0, "best": 0.6, "whole": 0.9, "found": 0.5}
    assert found["beside, critic"]["found"] is None
