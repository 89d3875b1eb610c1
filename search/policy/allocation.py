"""Which branches may offer new trials, and which still have to show what they end at. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from trainers.component import Frozen


class AllocationConfig(Frozen):
    """An upper confidence bound on the best that a branch has shown at its highest rung (a max-bandit)."""

    floor: Annotated[
        int, Field(ge=1, le=100, description="Trials that every branch gets before branches are compared.")
    ] = 3
    offering: Annotated[
        int, Field(ge=1, le=100, description="Branches that offer new trials at a time. The others get none.")
    ] = 8
    spread: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="Bonus of a branch after its first trial, in PGR. It shrinks with the root of its "
            "trials.",
        ),
    ] = 0.5


@dataclass(kw_only=True)
class BranchState:
    """A live branch.

    started: trials. back: those that the first rung has told of, failures included. failed: those that failed
    on their way further. heading: how many have reached each rung or are on their way there. highest: the
    highest rung that one has reached, and best the best PGR there, if any.
    """

    name: str
    started: int = 0
    back: int = 0
    failed: int = 0
    heading: Counter[int] = field(default_factory=Counter)
    highest: int = -1
    best: float | None = None

    def shows(self, rung: int, pgr: float) -> bool:
        """Take in a score; whether it is the best, at the highest rung so far."""
        if self.best is not None and (rung, pgr) <= (self.highest, self.best):
            return False
        self.highest, self.best = rung, pgr
        return True

    def unproven(self, floor: int, rungs: int) -> int | None:
        """The first rung above the lowest that no trial has reached or is on its way to, if any.

        None while fewer than `floor` trials are back, and once so many have failed above the lowest rung.
        """
        if self.back < floor or self.failed >= floor:
            return None
        return next((rung for rung in range(1, rungs) if self.heading[rung] == 0), None)


def offering(config: AllocationConfig, branches: Sequence[BranchState]) -> list[str]:
    """The branches that may offer the next new trial, the most hopeful first.

    Under the floor, a branch has the offer to itself: the least tried one. Otherwise those with the highest
    best + spread / sqrt(trials). Ties go to the earlier branch. A branch without a result yet counts as the
    worst with one.
    """
    if under := [branch for branch in branches if branch.started < config.floor]:
        return [min(under, key=lambda branch: branch.started).name]
    worst = min((branch.best for branch in branches if branch.best is not None), default=0.0)

    def hope(branch: BranchState) -> float:
        best = worst if branch.best is None else branch.best
        return best + config.spread / math.sqrt(branch.started)

    return [branch.name for branch in sorted(branches, key=hope, reverse=True)[: config.offering]]
