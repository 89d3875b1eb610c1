"""The cap and the ledger against a provider that bills the worst it can; `--runs 300` of it are measured."""

import pytest

from benchmarks.agent.money import ANSWERS, LOST, Outcome, measured


@pytest.mark.slow
def test_no_bill_exceeds_the_cap_or_the_ledger() -> None:
    found = measured(runs=12)
    assert (found.runs_over_cap, found.runs_understated) == (0, 0)
    # and the runs did meet what breaks a careless ledger
    assert found.kills >= 3
    assert found.requests.total() > 80
    assert len(found.requests) > 20
    assert sum(found.requests[kind] for kind in LOST) > 30
    assert found.requests.keys() <= ANSWERS.keys()


def test_a_bill_above_the_cap_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(seed: int, outcome: Outcome) -> None:
        outcome.runs += 1
        outcome.note(over_cap=0.25, understated=0.5)

    monkeypatch.setattr("benchmarks.agent.money.run", careless)
    found = measured(runs=2)
    assert (found.runs, found.runs_over_cap, found.runs_understated) == (2, 2, 2)
    assert (found.over_cap, found.understated) == (0.25, 0.5)
