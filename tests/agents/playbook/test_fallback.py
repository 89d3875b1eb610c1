from collections.abc import Callable

from agents.findings.findings import Findings
from agents.findings.round_proposal import RoundProposal
from agents.language.proposal import Branch, Proposal
from agents.playbook.fallback import Guarded
from agents.playbook.playbook import Playbook


class Broken:
    def propose(self, findings: Findings) -> Proposal:
        raise KeyError("oops")


class Plain:
    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal

    def propose(self, findings: Findings) -> Proposal:
        return self.proposal


def test_a_proposer_that_raises_never_ends_the_search(campaign: Callable[..., Findings]) -> None:
    playbook = Playbook(branches=3)
    answer = Guarded(Broken(), playbook).propose(campaign())
    assert answer.proposal == playbook.propose(campaign())
    assert answer.lanes[0].why == "KeyError: 'oops'"
    assert answer.lanes[0].source == "playbook"


def test_an_answer_passes_through(campaign: Callable[..., Findings], branch: Callable[..., Branch]) -> None:
    said = Proposal(branches=(branch("a"),), rationale="")
    assert Guarded(Plain(said), Playbook()).propose(campaign()) == RoundProposal(proposal=said, lanes=())
