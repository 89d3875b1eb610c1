from collections.abc import Callable
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.ledger.events import Proposed
from search.ledger.record import Record


@pytest.fixture
def record(
    events: SimpleNamespace, branch: Callable[..., Branch], proposal: Callable[..., Proposal]
) -> Record:
    """A search with two branches and a trial that reached its first rung."""
    return Record.of(
        [
            events.run_started(),
            events.baselines(),
            Proposed(round=1, proposal=proposal(branch("one"), branch("two")), seconds=0),
            events.started("t1"),
            events.reached("t1", 1 / 3, 0.5),
        ]
    )
