"""Detects branches that repeat the space of an earlier branch."""

from collections.abc import Iterable

from agents.findings.findings import Findings
from agents.language.proposal import Branch, Proposal
from agents.language.space import space_key
from agents.language.validation import MAX_BRANCHES, Problem, problems, valid_branches


def sound(branches: Iterable[Branch], findings: Findings) -> list[Branch]:
    """The branches that fit the catalogue: a campaign may be resumed under a changed catalogue."""
    orphans = (branch.model_copy(update={"parent": None}) for branch in branches)
    proposals = (Proposal(branches=(branch,), rationale="") for branch in orphans)
    checked = (
        valid_branches(
            proposal,
            naive=findings.naive,
            known_branches=(),
            known_methods=(),
            abilities=findings.abilities,
        )
        for proposal in proposals
    )
    return [branch for found in checked for branch in found]


def all_problems(proposal: Proposal, findings: Findings) -> list[Problem]:
    """The problems that `validation.problems` finds, and branches that repeat an earlier branch's space."""
    wrong = problems(
        proposal,
        naive=findings.naive,
        known_branches=[found.branch.name for found in findings.branches],
        known_methods=[trial.method for trial in findings.trials],
        abilities=findings.abilities,
    )
    at_fault = {problem.branch for problem in wrong}
    known = sound((found.branch for found in findings.branches), findings)
    spaces = {space_key(branch, findings.naive): branch.name for branch in known}
    for index, branch in enumerate(proposal.branches[:MAX_BRANCHES]):
        if index not in at_fault and (twin := spaces.get(space_key(branch, findings.naive))):
            text = f"holds the same methods as the branch {twin} of an earlier round; propose something new"
            wrong.append(Problem(branch=index, place=f"branches[{index}].slots", text=text))
    return wrong


def kept(proposal: Proposal, wrong: Iterable[Problem], most: int) -> tuple[Branch, ...]:
    """The branches without a problem of their own, in order, at most `most`.

    Branches past the sixteenth are left out, because `problems` does not check them.
    """
    at_fault = {problem.branch for problem in wrong}
    checked = enumerate(proposal.branches[:MAX_BRANCHES])
    return tuple(branch for i, branch in checked if i not in at_fault)[:most]
