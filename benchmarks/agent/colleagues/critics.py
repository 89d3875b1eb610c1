"""A careless proposer, half of whose branches are the table's worst, and critics of known accuracy."""

from collections.abc import Mapping
from statistics import fmean

import numpy as np

from agents.findings.findings import Findings
from agents.findings.novelty import kept
from agents.findings.proposer import Proposer
from agents.findings.review import Review, objections
from agents.language.proposal import Branch, Proposal
from agents.language.validation import MAX_BRANCHES
from agents.playbook.playbook import Playbook
from benchmarks.agent.colleagues.naming import truths
from benchmarks.table.campaign import Rows
from benchmarks.table.world import World

SENSIBLE, CARELESS = 2, 2  # branches of a round: the playbook's, and the worst


def promise(world: World) -> dict[str, float]:
    """The mean test PGR of the rows of each of the table's random branches that has rows."""
    rows, truth, naive = Rows(world), truths(world), world.table.settings.naive
    found: dict[str, float] = {}
    for branch in world.table.chance:
        if there := rows.open_in(branch, (), naive):
            found[branch.name] = fmean(truth[method.digest] for method in there)
    return found


class Careless:
    """Proposes the playbook's next branches, and with them the worst that chance has."""

    def __init__(self, world: World, seed: int) -> None:
        by_name = {branch.name: branch for branch in world.table.chance}
        found = promise(world)
        self._worst = [by_name[name] for name in sorted(found, key=found.__getitem__)]
        self._playbook = Playbook(branches=SENSIBLE, seed=seed)

    def propose(self, findings: Findings) -> Proposal:
        """Two of each."""
        sensible = self._playbook.propose(findings)
        worst, self._worst = self._worst[:CARELESS], self._worst[CARELESS:]
        return sensible.model_copy(update={"branches": (*worst, *sensible.branches)})


class Criticised:
    """Passes on the branches of a proposer that a critic does not refuse; the first if it refuses all.

    accuracy: how often the critic is right about a branch: whether the rows that it can find are on average
    better than the median row, by the test split.
    """

    def __init__(self, proposer: Proposer, world: World, accuracy: float, seed: int) -> None:
        self._proposer = proposer
        self._rows = Rows(world)
        self._truth: Mapping[str, float] = truths(world)
        self._bar = float(np.median(list(self._truth.values())))
        self._accuracy = accuracy
        self._rng = np.random.default_rng(seed)

    def propose(self, findings: Findings) -> Proposal:
        """What is left of the proposal."""
        proposal = self._proposer.propose(findings)
        assert isinstance(proposal, Proposal)
        reviews = [self._review(branch, findings) for branch in proposal.branches]
        left = kept(proposal, objections(reviews, proposal), MAX_BRANCHES)
        return proposal.model_copy(update={"branches": left or proposal.branches[-1:]})

    def _review(self, branch: Branch, findings: Findings) -> Review:
        tried = {trial.method.plainest.digest for trial in findings.trials}
        there = self._rows.open_in(branch, tried, findings.naive)
        worth = bool(there) and fmean(self._truth[method.digest] for method in there) > self._bar
        right = self._rng.random() < self._accuracy
        return Review(
            branch=branch.name, differs=True, holds=worth == right, refuted_by="its rows", why="a script"
        )
