"""Who can propose: anything with one method."""

from typing import Protocol

from agents.answer import Answer
from agents.findings import Findings
from agents.proposal import Proposal


class Proposer(Protocol):
    """Turns what is known into the branches of the next round."""

    def propose(self, findings: Findings) -> Proposal | Answer:
        """The next proposal, in an Answer where there is more to tell than its branches.

        The caller checks it with `agents.validation` before anything runs.
        """
        ...
