"""What the lanes of a round mean to propose, so that no two of them propose nearly the same methods."""

import threading
from collections.abc import Sequence

from agents.findings.digest import space
from agents.findings.findings import Findings
from agents.findings.novelty import sound
from agents.language.overlap import alike
from agents.language.proposal import Branch, Proposal
from agents.language.validation import MAX_BRANCHES, Problem

SHOWN = 200  # characters of the other branch's space


class Board:
    """The branches that lanes of a round have claimed; thread-safe. Whoever comes first keeps a branch."""

    def __init__(self, findings: Findings) -> None:
        self._naive = findings.naive
        self._earlier = [
            (found, "of an earlier round") for found in sound((f.branch for f in findings.branches), findings)
        ]
        self._claimed: dict[str, list[Branch]] = {}
        self._lock = threading.Lock()

    def claim(self, lane: str, proposal: Proposal, wrong: Sequence[Problem]) -> list[Problem]:
        """Claim a lane's branches, and return a problem for each that others have had before.

        wrong: the problems known already; a branch with one is neither claimed nor compared. A branch is
        compared with those of earlier rounds, of other lanes, and with those before it in the proposal.
        """
        at_fault = {problem.branch for problem in wrong}
        found = []
        with self._lock:
            others = [*self._earlier, *self._of_others(lane)]
            for index, branch in enumerate(proposal.branches[:MAX_BRANCHES]):
                if index in at_fault:
                    continue
                if twin := self._twin(branch, others):
                    found.append(Problem(branch=index, place=f"branches[{index}].slots", text=twin))
                    continue
                others.append((branch, "of this proposal"))
                self._claimed.setdefault(lane, []).append(branch)
        return found

    def hold(self, lane: str, branches: Sequence[Branch]) -> None:
        """These are a lane's branches from now on: it gave up its others, or a critic refused them."""
        with self._lock:
            self._claimed[lane] = list(branches)

    def _of_others(self, lane: str) -> list[tuple[Branch, str]]:
        return [
            (branch, f"of lane {other} in this round")
            for other, branches in self._claimed.items()
            if other != lane
            for branch in branches
        ]

    def _twin(self, branch: Branch, others: Sequence[tuple[Branch, str]]) -> str | None:
        for other, whose in others:
            if alike(branch, other, self._naive):
                return (
                    f"holds nearly the methods of the branch {other.name} {whose} "
                    f"({space(other)[:SHOWN]}); propose another reason, or leave it out"
                )
        return None
