"""Who can propose: anything with one method."""

from typing import Protocol

from agents.findings import Findings
from agents.proposal import Proposal


class Proposer(Protocol):
    """Turns what is known into the branches of the next round."""

    def propose(self, findings: Findings) -> Proposal:
        """The next proposal; the caller checks it with `agents.validation` before anything runs."""
        ...
