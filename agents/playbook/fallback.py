"""The playbook as a fallback: a search goes on when its proposer fails."""

import logging

from agents.findings.findings import Findings
from agents.findings.proposer import Proposer
from agents.findings.round_proposal import LaneReport, RoundProposal
from agents.language.proposal import Proposal
from agents.playbook.playbook import Playbook

log = logging.getLogger(__name__)


def playbook_proposal(
    playbook: Playbook, findings: Findings, why: str | None, *, budget_spent: bool = False
) -> RoundProposal:
    """The playbook's proposal; `why` says why another proposer has none."""
    proposal = playbook.propose(findings)
    lane = LaneReport(
        lane="playbook",
        direction="",
        source="playbook",
        branches=tuple(branch.name for branch in proposal.branches),
        why=why,
        budget_spent=budget_spent,
    )
    return RoundProposal(proposal=proposal, lanes=(lane,))


class Guarded:
    """Wraps a proposer: where it raises, the playbook proposes instead and the lane report says why."""

    def __init__(self, proposer: Proposer, playbook: Playbook) -> None:
        self._proposer = proposer
        self._playbook = playbook

    def propose(self, findings: Findings) -> RoundProposal:
        """The proposer's proposal, or the playbook's."""
        try:
            proposal = self._proposer.propose(findings)
        except Exception as error:  # the boundary of a proposer: its failure becomes a line in the ledger
            log.exception("the proposer failed in round %d; the playbook proposes instead", findings.round)
            return playbook_proposal(self._playbook, findings, f"{type(error).__name__}: {error}"[:500])
        return RoundProposal(proposal=proposal, lanes=()) if isinstance(proposal, Proposal) else proposal
