"""Which branches may offer new trials, and which have not yet trained a trial to the end. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from trainers.component import Frozen


class AllocationConfig(Frozen):
    """A max-bandit: branches rank by an upper confidence bound on their best PGR at their highest rung."""

    floor: Annotated[
        int, Field(ge=1, le=100, description="Trials that every branch gets before branches are compared.")
    ] = 3
    offering: Annotated[
        int,
        Field(ge=1, le=100, description="Branches that may offer new trials at a time. The others get none."),
    ] = 8
    spread: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="Bonus of a branch after its first trial, in PGR. It shrinks with the square root of "
            "the branch's trials.",
        ),
    ] = 0.5


@dataclass(kw_only=True)
class BranchState:
    """What the trials of a branch have shown so far.

    started: trials started. returned: trials that finished or failed at the first rung. failed: trials that
    failed above the first rung. reached_or_in_flight: by rung, the trials that reached it or train towards
    it. highest_rung: the highest rung that a trial has reached, -1 for none. best: the best PGR there.
    """

    name: str
    started: int = 0
    returned: int = 0
    failed: int = 0
    reached_or_in_flight: Counter[int] = field(default_factory=Counter)
    highest_rung: int = -1
    best: float | None = None

    def add_score(self, rung: int, pgr: float) -> bool:
        """Record a score. Returns whether it is the best so far: a higher rung beats a higher PGR."""
        if self.best is not None and (rung, pgr) <= (self.highest_rung, self.best):
            return False
        self.highest_rung, self.best = rung, pgr
        return True

    def unproven_rung(self, floor: int, rungs: int) -> int | None:
        """The lowest rung above the first that no trial has reached or trains towards.

        None if there is no such rung, while fewer than `floor` trials have returned, and once `floor` trials
        have failed above the first rung.
        """
        if self.returned < floor or self.failed >= floor:
            return None
        return next((rung for rung in range(1, rungs) if self.reached_or_in_flight[rung] == 0), None)


def offering_branches(config: AllocationConfig, branches: Sequence[BranchState]) -> list[str]:
    """The branches that may offer the next new trial, highest upper bound first.

    While branches have fewer than `floor` trials, only the one with the fewest offers. After that the upper
    bound is best + spread / sqrt(trials). Ties go to the earlier branch. A branch without a score gets the
    lowest best PGR of the others, 0 if no branch has a score.
    """
    if under_floor := [branch for branch in branches if branch.started < config.floor]:
        return [min(under_floor, key=lambda branch: branch.started).name]
    worst = min((branch.best for branch in branches if branch.best is not None), default=0.0)

    def upper_bound(branch: BranchState) -> float:
        best = worst if branch.best is None else branch.best
        return best + config.spread / math.sqrt(branch.started)

    return [branch.name for branch in sorted(branches, key=upper_bound, reverse=True)[: config.offering]]
