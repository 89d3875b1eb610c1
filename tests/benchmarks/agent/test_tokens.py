import pytest

from benchmarks.agent import tokens


def test_a_campaign_reads_most_from_the_cache_and_asks_as_often_as_it_has_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", tokens.KEY)
    monkeypatch.setattr(tokens, "ROUNDS", 2)
    shared, lost = (tokens.row(tokens.campaign(10.0, cache=cache)) for cache in ("1h", "5m"))
    assert shared["requests"] == lost["requests"] == 2 * tokens.LANES * 3  # two tools, then a proposal
    assert shared["cache_read_share"] > 0.8
    # what the second round had to write again after five minutes
    assert shared["cache_read_share"] - lost["cache_read_share"] > 0.03
    assert shared["usd"] < shared["usd_without_cache"]
