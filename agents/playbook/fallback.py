"""The playbook steps in: whatever happens to a proposer, a search goes on."""

import logging

from agents.findings.answer import Answer, LaneReport
from agents.findings.findings import Findings
from agents.findings.proposer import Proposer
from agents.language.proposal import Proposal
from agents.playbook.playbook import Playbook

log = logging.getLogger(__name__)


def playbook_answer(
    playbook: Playbook, findings: Findings, why: str | None, *, budget_spent: bool = False
) -> Answer:
    """What the playbook proposes; `why` says what kept somebody else from it."""
    proposal = playbook.propose(findings)
    lane = LaneReport(
        lane="playbook",
        direction="",
        source="playbook",
        branches=tuple(branch.name for branch in proposal.branches),
        why=why,
        budget_spent=budget_spent,
    )
    return Answer(proposal=proposal, lanes=(lane,))


class Guarded:
    """A proposer that never raises: the playbook answers for one that did, and the answer says why."""

    def __init__(self, proposer: Proposer, playbook: Playbook) -> None:
        self._proposer = proposer
        self._playbook = playbook

    def propose(self, findings: Findings) -> Answer:
        """The proposer's answer, or the playbook's."""
        try:
            answer = self._proposer.propose(findings)
        except Exception as error:  # a proposer's boundary: its failure is a line in the ledger
            log.exception("the proposer failed in round %d; the playbook answers for it", findings.round)
            return playbook_answer(self._playbook, findings, f"{type(error).__name__}: {error}"[:500])
        return Answer(proposal=answer, lanes=()) if isinstance(answer, Proposal) else answer
