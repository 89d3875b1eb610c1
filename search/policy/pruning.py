"""The stopping rule: which trials at a rung have no future. Pure: numbers in, a decision out.

Those that have one pause; which of them goes on, and when, is for `search.promotion`.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from search.ledger.events import BaselinesReady
from search.scoring.pgr import Bools, Reals
from trainers.component import Frozen
from trainers.lazy import special

Decision = Literal["pause", "stop"]
Answers = Bools | Reals


class PruningConfig(Frozen):
    """Asynchronous successive halving (Li et al., 2020) that stops a trial only when it is sure enough."""

    rungs: Annotated[
        tuple[float, ...],
        Field(
            min_length=1,
            max_length=16,
            description="Shares of a trial's training at which it is judged, rising, the last one 1.",
        ),
    ] = (1 / 9, 1 / 3, 1.0)
    keep: Annotated[
        float,
        Field(
            ge=1.5,
            le=10,
            description="The best 1 / keep of a branch's trials at a rung go on without further question.",
        ),
    ] = 3.0
    doubt: Annotated[
        float,
        Field(
            gt=0,
            le=0.5,
            description="A trial outside the best stops when its chance of truly matching the worst of the "
            "best is at most this.",
        ),
    ] = 0.25
    seed_sd: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Standard deviation of PGR between seeds of a method: a prior that the campaign's "
            "own seeds correct. Published runs show 0.06 to 0.10.",
        ),
    ] = 0.08
    min_rivals: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Trials of a branch that reach a rung before any other is stopped there.",
        ),
    ] = 4

    def model_post_init(self, _context: object) -> None:
        """Refuse rungs that are not rising shares ending in 1."""
        rising = all(low < high for low, high in zip(self.rungs, self.rungs[1:], strict=False))
        if not rising or self.rungs[0] <= 0 or self.rungs[-1] != 1:
            raise ValueError(f"rungs must be rising shares above 0, the last one 1, got {list(self.rungs)}")


class Rivals:
    """The trials that reached a rung, kept so that judging costs the same for any number of them.

    What a trial got right is one number an example, [n]: 1 or 0, or a score where n is 1.
    """

    def __init__(self) -> None:
        self._means: list[float] = []  # rising
        self._right: list[Answers] = []  # in the same order

    def __len__(self) -> int:
        return len(self._means)

    def add(self, right: Answers) -> None:
        """Count one more trial, unless its score is NaN: nobody is measured by that."""
        mean = float(right.mean())
        if math.isnan(mean):
            return
        place = bisect_right(self._means, mean)
        self._means.insert(place, mean)
        self._right.insert(place, right)

    def last_of_best(self, places: int) -> Answers:
        """What the trial at this place from the top got right; 1 is the best."""
        return self._right[-places]


def decide(
    config: PruningConfig, right: Answers, rivals: Rivals, gap: float, seed_variance: float
) -> Decision:
    """Whether a trial at a rung may go on one day, given those of its branch that were there before it.

    right: [n], what the trial got right of the search split. gap: ceiling minus weak floor, the unit of PGR.
    seed_variance: of PGR, between seeds of one method.

    NaN: stop, also the first. Fewer rivals than `min_rivals`: pause. Among the best one in `keep`, ties
    included: pause. Otherwise stop when the chance of being as good as the last of the best falls to `doubt`;
    the error of the difference is the paired one over examples together with the seed spread of both trials.
    """
    if math.isnan(right.mean()):
        return "stop"
    if len(rivals) < config.min_rivals:
        return "pause"
    paired = (
        rivals.last_of_best(max(1, int((len(rivals) + 1) / config.keep))).astype(np.float64) - right
    ) / gap
    behind = float(paired.mean())
    if behind <= 0:
        return "pause"
    spread = float(paired.var(ddof=1)) / len(paired) if len(paired) > 1 else 0.0
    variance = spread + 2 * seed_variance
    chance = float(special.ndtr(-behind / math.sqrt(variance))) if variance > 0 else 0.0
    return "pause" if chance > config.doubt else "stop"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What becomes of a trial at a rung, beside so many rivals that were there before."""

    decision: Decision
    rivals: int


class Judge:
    """Looks at each trial at each rung once, in the order they come in.

    A trial is beside those of its branch: another kind of method may rise later, and end higher.
    """

    def __init__(self, config: PruningConfig, gap: float) -> None:
        """gap: ceiling minus weak floor, the unit of PGR."""
        self._config = config
        self._gap = gap
        self._rivals: dict[tuple[str, int], Rivals] = defaultdict(Rivals)

    @property
    def has_seen_any(self) -> bool:
        """Whether any trial reached a rung."""
        return bool(self._rivals)

    def look(self, branch: str, rung: int, right: Answers, seed_variance: float) -> Finding:
        """Compare a trial with those before it, and remember it.

        rung: its index. right: [n], of the search split. seed_variance: of PGR, between seeds of one method.
        """
        rivals = self._rivals[branch, rung]
        finding = Finding(
            decision=decide(self._config, right, rivals, self._gap, seed_variance),
            rivals=len(rivals),
        )
        rivals.add(right)
        return finding


PRIOR = 8  # degrees of freedom that the configured seed spread counts for


def seed_variance(
    config: PruningConfig, floors: BaselinesReady | None, *, squares: float = 0.0, free: int = 0
) -> float:
    """The variance of PGR between seeds, pooled by degrees of freedom over all that is known of it.

    That is the prior, the configured `seed_sd`, which stands alone where nothing else is known; floor and
    ceiling, whose seeds are there before the first trial; and methods on further seeds, by `squares`, their
    squared deviations from their means, over `free` degrees of freedom.
    """
    weight, known = (floors.seed_free, floors.seed_variance) if floors else (0, 0.0)
    total = PRIOR * config.seed_sd**2 + weight * known + squares
    return total / (PRIOR + weight + free)
