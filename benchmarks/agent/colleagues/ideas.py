"""What a scripted lane could propose: the spaces that the table has rows of, and what those are worth."""

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from agents.language.overlap import holds
from agents.language.proposal import Branch
from agents.playbook.literature import literature
from benchmarks.agent.colleagues.naming import truths
from benchmarks.table.rows import sound
from benchmarks.table.world import World
from search.scoring.pgr import Reals
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class Idea:
    """A space, the table's rows in it, the highest of their test PGRs, and the row that has it."""

    branch: Branch
    rows: int
    best: float
    argued: Method


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Rows of a space that were not tried, and the highest of their test PGRs; None without rows."""

    rows: int
    best: float | None


class Knowledge:
    """All ideas of a world: the published spaces and the table's random ones, as far as they hold rows."""

    def __init__(self, world: World) -> None:
        self.naive = world.table.settings.naive
        self._truth = truths(world)
        methods = [world.table.rows[row].method for row in world.rows]
        self._rows = [(method, method.plainest.digest) for method in methods if method != self.naive]
        spaces = [*sound(literature(self.naive), self.naive), *world.table.chance]
        self.ideas = [idea for space in spaces if (idea := self._idea(space))]
        self.median = float(np.median([idea.best for idea in self.ideas]))

    def of(self, method: Method) -> float:
        """The test PGR of a row at its best rung."""
        return self._truth[method.digest]

    def reach(self, branch: Branch, tried: Container[str]) -> Reach:
        """What a branch holds. tried: digests of methods in plainest words."""
        there = self._inside(branch, tried)
        return Reach(rows=len(there), best=max(map(self.of, there), default=None))

    def expected(self, skill: float, errors: Reals) -> Reals:
        """What somebody expects of each idea. skill: the correlation with its best row's test PGR."""
        best = np.array([idea.best for idea in self.ideas])
        return skill * (best - best.mean()) / (best.std() or 1.0) + np.sqrt(1 - skill**2) * errors

    def _inside(self, branch: Branch, tried: Container[str]) -> list[Method]:
        return [
            method for method, plain in self._rows if plain not in tried and holds(branch, method, self.naive)
        ]

    def _idea(self, branch: Branch) -> Idea | None:
        there = self._inside(branch, ())
        if not there:
            return None
        argued = max(there, key=self.of)
        return Idea(branch=branch, rows=len(there), best=self.of(argued), argued=argued)
