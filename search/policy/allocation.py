"""Which branches may offer new trials, and which have not yet trained a trial to the end. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from trainers.component import Frozen


class AllocationConfig(Frozen):
    """A max-bandit: branches rank by an upper confidence bound on their best PGR."""

    floor: Annotated[
        int, Field(ge=1, le=100, description="Trials that every branch gets before branches are compared.")
    ] = 3
    offering: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Branches that may offer new trials at a time. The others get none. As many of them "
            "as there are share the budget: a trial of more than two mean trainings that takes its branch "
            "beyond its share goes on only where it promises more than a new method does.",
        ),
    ] = 8
    spread: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="Bonus of a branch after its first trial, in PGR. It shrinks with the square root of "
            "what the branch has trained, in trials of average seconds.",
        ),
    ] = 0.5


@dataclass(kw_only=True)
class BranchState:
    """What the trials of a branch have shown so far.

    started: trials started. returned: trials that reached their first rung or failed before. failed: trials
    that failed after it. reached_or_in_flight: by rung, the trials that reached it or train towards it.
    seconds: that they trained. best: the best PGR at any rung.
    """

    name: str
    started: int = 0
    returned: int = 0
    failed: int = 0
    reached_or_in_flight: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    best: float | None = None

    def add_score(self, pgr: float) -> bool:
        """Record a score. Returns whether it is the best so far."""
        if self.best is not None and pgr <= self.best:
            return False
        self.best = pgr
        return True

    def is_unproven(self, rung: int, floor: int) -> bool:
        """Whether no trial has reached this rung or a later one, or trains towards it.

        False while fewer than `floor` trials have returned, and once `floor` trials have failed after their
        first rung.
        """
        if self.returned < floor or self.failed >= floor:
            return False
        return not any(count for place, count in self.reached_or_in_flight.items() if place >= rung)


def offering_branches(config: AllocationConfig, branches: Sequence[BranchState]) -> list[str]:
    """The branches that may offer the next new trial, highest upper bound first.

    While branches have fewer than `floor` trials, only the one with the fewest offers. After that the upper
    bound is best + spread / sqrt(n), with n the branch's seconds of training in units of what a trial has
    taken on average, at least 1: a cheap branch may have more trials. Ties go to the earlier branch. A branch
    without a score gets the lowest best PGR of the others, 0 if no branch has a score.
    """
    if under_floor := [branch for branch in branches if branch.started < config.floor]:
        return [min(under_floor, key=lambda branch: branch.started).name]
    worst = min((branch.best for branch in branches if branch.best is not None), default=0.0)

    seconds, started = sum(b.seconds for b in branches), sum(b.started for b in branches)

    def upper_bound(branch: BranchState) -> float:
        best = worst if branch.best is None else branch.best
        trials = branch.seconds * started / seconds if seconds else branch.started
        return best + config.spread / math.sqrt(max(1.0, trials))

    return [branch.name for branch in sorted(branches, key=upper_bound, reverse=True)[: config.offering]]
