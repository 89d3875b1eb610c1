"""Which branch gets the next trial. Pure: what the branches have reached in, a name out."""

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from trainers.component import Frozen


class AllocationConfig(Frozen):
    """An upper confidence bound on the best that a branch has shown (a max-bandit).

    floor: trials that every branch gets before branches are compared.
    spread: how many PGR a barely tried branch is given in hope; it shrinks with the root of its trials.
    """

    floor: Annotated[int, Field(ge=1, le=100)] = 3
    spread: Annotated[float, Field(ge=0, le=10)] = 0.5


class BranchState(Frozen):
    """A live branch: trials started, and the best PGR that one of them reached at its last rung, if any."""

    name: str
    started: int
    best: float | None


def next_branch(config: AllocationConfig, branches: Sequence[BranchState]) -> str | None:
    """The branch whose turn it is, or None where there is none.

    Branches under the floor come first, the least tried of them first; then the highest of best + spread /
    sqrt(trials). Ties go to the earlier branch. A branch without a result yet counts as the worst with one.
    """
    if not branches:
        return None
    under = [branch for branch in branches if branch.started < config.floor]
    if under:
        return min(under, key=lambda branch: branch.started).name
    known = [branch.best for branch in branches if branch.best is not None]
    worst = min(known, default=0.0)

    def hope(branch: BranchState) -> float:
        best = worst if branch.best is None else branch.best
        return best + config.spread / math.sqrt(branch.started)

    return max(branches, key=hope).name
