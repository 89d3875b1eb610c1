"""Who can propose: anything with one method."""

from typing import Protocol

from agents.findings.answer import Answer
from agents.findings.findings import Findings
from agents.language.proposal import Proposal


class Proposer(Protocol):
    """Turns what is known into the branches of the next round."""

    def propose(self, findings: Findings) -> Proposal | Answer:
        """The next proposal, in an Answer where there is more to tell than its branches.

        The caller checks it with `agents.language.validation` before anything runs.
        """
        ...
