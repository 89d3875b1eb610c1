"""Lanes: several proposers of a round, each with an order of its own, whose branches are joined."""

from collections.abc import Sequence

import numpy as np

from agents.claude.lanes import joined
from agents.findings.findings import Findings
from agents.language.proposal import Branch, Proposal
from agents.playbook.literature import literature
from benchmarks.table.world import World

BRANCHES = 4  # of a lane in a round


class Reader:
    """Proposes the published branches in an order of its own, then the table's random ones."""

    def __init__(self, world: World, seed: int, lane: int) -> None:
        rng = np.random.default_rng([seed, lane])
        published = literature(world.table.settings.naive)
        self._left = [*_shuffled(published, rng), *_shuffled(world.table.chance, rng)]

    def next(self, known: set[str]) -> tuple[Branch, ...]:
        """The next branches whose names are not known."""
        self._left = [branch for branch in self._left if branch.name not in known]
        chosen, self._left = self._left[:BRANCHES], self._left[BRANCHES:]
        return tuple(chosen)


class Lanes:
    """So many readers at once, joined as Claude's lanes are."""

    def __init__(self, world: World, seed: int, lanes: int) -> None:
        self._readers = [Reader(world, seed, lane) for lane in range(lanes)]

    def propose(self, findings: Findings) -> Proposal:
        """What the lanes propose that can run and is new."""
        known = {found.branch.name for found in findings.branches}
        proposals = [
            (str(place), Proposal(branches=reader.next(known), rationale="an order of its own"))
            for place, reader in enumerate(self._readers, start=1)
        ]
        return joined(proposals, findings).proposal


def _shuffled(branches: Sequence[Branch], rng: np.random.Generator) -> list[Branch]:
    return [branches[int(place)] for place in rng.permutation(len(branches))]
