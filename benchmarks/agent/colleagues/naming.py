"""Colleagues that name draws: each has an order in which it would try the rows that are left."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice, NamedDraw, Tray
from agents.findings.findings import Findings
from agents.findings.proposer import Proposer
from agents.findings.round_proposal import LaneReport
from agents.language.naming import method_values
from agents.language.proposal import Branch, Proposal
from agents.language.suggestion import NamedValue, open_names
from agents.playbook.literature import literature
from benchmarks.table.campaign import Rows
from benchmarks.table.within import within
from benchmarks.table.world import Point, World
from search.engine.advice.requests import lane_name
from search.policy.encoding import encode
from trainers.method import Method

NOISE = 1.0  # of the informed colleague, in standard deviations of the truth: a correlation of about 0.7


class Candidate(NamedTuple):
    """A row that a live branch could draw next. truth: its test PGR at its best rung, over all seeds."""

    branch: Branch
    method: Method
    truth: float


Order = Callable[[Sequence[Candidate], Beliefs, np.random.Generator], Sequence[int]]


def oracle(found: Sequence[Candidate], beliefs: Beliefs, rng: np.random.Generator) -> Sequence[int]:
    """The best first: it knows the test split."""
    return np.argsort([-candidate.truth for candidate in found], kind="stable").tolist()


def informed(found: Sequence[Candidate], beliefs: Beliefs, rng: np.random.Generator) -> Sequence[int]:
    """As the oracle, with noise as large as the spread of the truth."""
    truth = np.array([candidate.truth for candidate in found])
    return np.argsort(-(truth + NOISE * truth.std() * rng.normal(size=len(truth)))).tolist()


def by_literature(found: Sequence[Candidate], beliefs: Beliefs, rng: np.random.Generator) -> Sequence[int]:
    """Branches in the order of the literature, others after them; of a branch, what the table has first."""
    places = {branch.name: place for place, branch in enumerate(literature(Method()))}
    order = [places.get(candidate.branch.name, len(places)) for candidate in found]
    return np.argsort(order, kind="stable").tolist()


def believer(found: Sequence[Candidate], beliefs: Beliefs, rng: np.random.Generator) -> Sequence[int]:
    """What the surrogate expects most of: it knows nothing else."""
    expected = [belief.pgr for belief in beliefs.of([candidate.method for candidate in found])]
    return np.argsort(-np.array(expected), kind="stable").tolist()


def at_random(found: Sequence[Candidate], beliefs: Beliefs, rng: np.random.Generator) -> Sequence[int]:
    """Any."""
    return [int(place) for place in rng.permutation(len(found))]


def stubborn(found: Sequence[Candidate], beliefs: Beliefs, rng: np.random.Generator) -> Sequence[int]:
    """What is nearest to its one idea, whatever came of it."""
    points = np.stack([encode(candidate.method) for candidate in found])
    idea = np.random.default_rng(0).uniform(size=points.shape[1]).round()
    return np.argsort(((points - idea) ** 2).sum(axis=1), kind="stable").tolist()


def hostile(found: Sequence[Candidate], beliefs: Beliefs, rng: np.random.Generator) -> Sequence[int]:
    """The worst first."""
    return np.argsort([candidate.truth for candidate in found], kind="stable").tolist()


COLLEAGUES: dict[str, Order] = {
    "oracle": oracle,
    "informed": informed,
    "literature": by_literature,
    "believer": believer,
    "random": at_random,
    "stubborn": stubborn,
    "hostile": hostile,
}
SENSELESS = (  # what the hostile colleague says first
    ("no-such-branch", ()),
    ("", (NamedValue(name="loss.kind", value="../../etc"),)),
)


class Colleague:
    """Proposes as another proposer does, and names draws in an order of its own."""

    def __init__(self, proposer: Proposer, world: World, order: Order, seed: int) -> None:
        self._proposer = proposer
        self._rows = Rows(world)
        self._truth = truths(world)
        self._order = order
        self._rng = np.random.default_rng(seed)

    def propose(self, findings: Findings) -> Proposal:
        """The other proposer's branches."""
        proposal = self._proposer.propose(findings)
        assert isinstance(proposal, Proposal)
        return proposal

    def advise(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> Advice:
        """The first rows of its order, checked as an agent's are. The hostile one tries nonsense first."""
        tray, draws = Tray(findings, most), list[NamedDraw]()
        candidates = self._candidates(findings)
        if self._order is hostile:
            for branch, values in (*SENSELESS, *((one.branch.name, ()) for one in candidates[:1])):
                _refused(tray, branch, values)
        for place in self._order(candidates, beliefs, self._rng) if candidates else ():
            candidate = candidates[place]
            inside = within(candidate.branch, candidate.method, findings.naive)
            if not tray.left:
                break
            if inside and not _refused(tray, candidate.branch.name, _values(candidate.branch, inside)):
                draws.append(tray.draws[-1].model_copy(update={"method": candidate.method}))
        lane = LaneReport(
            lane=lane_name(request), direction="", source="claude", branches=(), refused=tray.refused
        )
        return Advice(draws=tuple(draws), lane=lane)

    def _candidates(self, findings: Findings) -> list[Candidate]:
        tried = {trial.method.plainest.digest for trial in findings.trials} | {findings.naive.plainest.digest}
        return [
            Candidate(found.branch, method, self._truth[method.digest])
            for found in findings.branches
            if found.live
            for method in self._rows.open_in(found.branch, tried, findings.naive)
        ]


def truths(world: World) -> dict[str, float]:
    """The test PGR of every row at its best rung, over all seeds, by the digest of its method."""
    rungs = range(len(world.table.settings.rungs))
    return {
        world.table.rows[row].method.digest: world.most
        - float(np.nanmin([world.regret(Point(row, rung)) for rung in rungs] + [world.most]))
        for row in world.rows
    }


def _values(branch: Branch, method: Method) -> list[NamedValue]:
    """The method by what its branch leaves open."""
    values = method_values(method)
    return [NamedValue(name=name, value=values[name]) for name in open_names(branch) if name in values]


def _refused(tray: Tray, branch: str, values: Sequence[NamedValue]) -> bool:
    try:
        tray.add(branch, values, "a script")
    except ValueError:
        return True
    return False
