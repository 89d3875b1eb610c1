"""The proposer that needs no key: published spaces first, then growth from the best branches."""

import random
from collections.abc import Iterable
from itertools import chain

from agents.findings.findings import Findings
from agents.findings.novelty import sound
from agents.language.proposal import Branch, Proposal
from agents.language.space import space_key
from agents.language.validation import problems
from agents.playbook.growth import explored, grown
from agents.playbook.literature import literature
from trainers.component import Frozen

_TRIES = 64


class Playbook(Frozen):
    """Proposes `branches` branches per round; the same findings and seed always give the same proposal.

    The first round takes the first spaces of the literature. Later rounds grow half of their branches from
    earlier ones and fill the rest from the remaining literature, then more growth, then random components. A
    proposal holds fewer branches, or none, when nothing new is left.
    """

    branches: int = 4
    seed: int = 0

    def propose(self, findings: Findings) -> Proposal:
        """A proposal without problems whose names and spaces are all new. Never raises."""
        picked = _Picked(findings)
        growth = grown(picked.sound(findings.ranked_branches()), findings, picked.names)
        ideas = iter(literature(findings.naive))
        half = (self.branches + 1) // 2 if findings.branches else 0
        rng = random.Random(f"{self.seed} {len(findings.branches)}")
        chance = explored(findings.naive, picked.names, rng, _TRIES)
        picked.fill(growth, half)
        picked.fill(chain(ideas, growth, chance), self.branches)
        return Proposal(branches=tuple(picked.branches), rationale=_rationale(findings, picked.branches))


class _Picked:
    """The branches picked so far, and the names and spaces in use."""

    def __init__(self, findings: Findings) -> None:
        self.branches: list[Branch] = []
        self._findings = findings
        self.names = {found.branch.name for found in findings.branches}
        self._naive = findings.naive
        self._abilities = findings.abilities
        self._methods = {trial.method for trial in findings.trials}
        known = self.sound(found.branch for found in findings.branches)
        self._spaces = {space_key(branch, self._naive) for branch in known}

    def sound(self, branches: Iterable[Branch]) -> list[Branch]:
        """The branches that fit the catalogue."""
        return sound(branches, self._findings)

    def fill(self, candidates: Iterable[Branch], size: int) -> None:
        """Take valid, new candidates in order until there are `size` branches."""
        if len(self.branches) >= size:
            return
        for branch in candidates:
            if self._is_new(branch):
                self.branches.append(branch)
                self.names.add(branch.name)
                self._spaces.add(space_key(branch, self._naive))
            if len(self.branches) >= size:
                return

    def _is_new(self, branch: Branch) -> bool:
        wrong = problems(
            Proposal(branches=(branch,), rationale=""),
            naive=self._naive,
            known_branches=sorted(self.names | {branch.parent} if branch.parent else self.names),
            known_methods=self._methods,
            abilities=self._abilities,
        )
        return not wrong and space_key(branch, self._naive) not in self._spaces


def _rationale(findings: Findings, branches: list[Branch]) -> str:
    from_old = sum(branch.parent is not None for branch in branches)
    best = findings.ranked_branches()[:3]
    lead = f" The best branches so far are {', '.join(branch.name for branch in best)}." if best else ""
    return f"{len(branches) - from_old} branches explore and {from_old} grow from earlier ones.{lead}"
