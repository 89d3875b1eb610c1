"""The interface of a proposer."""

from typing import Protocol

from agents.findings.findings import Findings
from agents.findings.round_proposal import RoundProposal
from agents.language.proposal import Proposal


class Proposer(Protocol):
    """Turns findings into the branches of the next round."""

    def propose(self, findings: Findings) -> Proposal | RoundProposal:
        """The next proposal, wrapped in a RoundProposal if there are lanes or notes to report.

        The caller checks it with `agents.language.validation` before anything runs.
        """
        ...
