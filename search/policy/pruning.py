"""The stopping rule: which trials stop for good at a rung. Pure: numbers in, a decision out.

The others pause. Which paused trial resumes, and when, is decided in search.policy.promotion.
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
Correct = Bools | Reals  # [n] for each example 1 if right, 0 if wrong; or a single score, n = 1


class PruningConfig(Frozen):
    """Asynchronous successive halving (Li et al., 2020) that stops only trials unlikely to be good."""

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
            description="The best 1 / keep of a branch's trials at a rung are never stopped by this rule: "
            "they pause.",
        ),
    ] = 3.0
    doubt: Annotated[
        float,
        Field(
            gt=0,
            le=0.5,
            description="A trial outside the best 1 / keep stops when the probability that it equals the "
            "lowest of them is at most this.",
        ),
    ] = 0.25
    seed_sd: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Standard deviation of PGR between seeds of a method on one task: a prior, updated "
            "by the campaign's own seeds. Published runs show 0.06 to 0.10.",
        ),
    ] = 0.08
    min_rivals: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Trials of a branch that must reach a rung before another is stopped there.",
        ),
    ] = 4

    min_steps: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="Optimizer steps that a training must have taken at a rung. A method whose training "
            "has taken fewer there, or is still warming up, is judged at its next rung.",
        ),
    ] = 8

    def model_post_init(self, _context: object) -> None:
        """Reject rungs that are not rising shares ending in 1."""
        rising = all(low < high for low, high in zip(self.rungs, self.rungs[1:], strict=False))
        if not rising or self.rungs[0] <= 0 or self.rungs[-1] != 1:
            raise ValueError(f"rungs must be rising shares above 0, the last one 1, got {list(self.rungs)}")


class Rivals:
    """The trials of a branch that reached a rung, sorted: a comparison costs the same for any number."""

    def __init__(self) -> None:
        self._means: list[float] = []  # ascending
        self._correct: list[Correct] = []  # in the same order

    def __len__(self) -> int:
        return len(self._means)

    def add(self, correct: Correct) -> None:
        """Add a trial. A NaN score is ignored: no trial is compared with it."""
        mean = float(correct.mean())
        if math.isnan(mean):
            return
        place = bisect_right(self._means, mean)
        self._means.insert(place, mean)
        self._correct.insert(place, correct)

    def from_top(self, place: int) -> Correct:
        """What the trial at this place from the top got right; place 1 is the best."""
        return self._correct[-place]


def decide(
    config: PruningConfig, correct: Correct, rivals: Rivals, gap: float, seed_variance: float
) -> Decision:
    """Whether a trial pauses or stops at a rung, compared with the trials of its branch that came before it.

    correct: [n], what the trial got right of the search split. gap: ceiling minus weak floor, the unit of
    PGR. seed_variance: of PGR, between seeds of one method.

    NaN: stop, even if it is the first. Fewer rivals than `min_rivals`: pause. Among the best 1 / keep, ties
    included: pause. Otherwise stop if the probability of being as good as the lowest of the best is at most
    `doubt`. The variance of the difference is that of the paired examples plus the seed variance of both.
    """
    if math.isnan(correct.mean()):
        return "stop"
    if len(rivals) < config.min_rivals:
        return "pause"
    kept = max(1, int((len(rivals) + 1) / config.keep))
    paired = (rivals.from_top(kept).astype(np.float64) - correct) / gap
    behind = float(paired.mean())
    if behind <= 0:
        return "pause"
    variance_of_mean = float(paired.var(ddof=1)) / len(paired) if len(paired) > 1 else 0.0
    variance = variance_of_mean + 2 * seed_variance
    probability = float(special.ndtr(-behind / math.sqrt(variance))) if variance > 0 else 0.0
    return "pause" if probability > config.doubt else "stop"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The decision on a trial at a rung, and how many rivals it was compared with."""

    decision: Decision
    rivals: int


class Judge:
    """Judges each trial once at each rung, in order of arrival.

    Trials are compared within their branch: the methods of another branch may learn later and end higher.
    """

    def __init__(self, config: PruningConfig, gap: float) -> None:
        """gap: ceiling minus weak floor, the unit of PGR."""
        self._config = config
        self._gap = gap
        self._rivals: dict[tuple[str, int], Rivals] = defaultdict(Rivals)

    @property
    def any_rung_reached(self) -> bool:
        """Whether any trial has reached a rung."""
        return bool(self._rivals)

    def judge(self, branch: str, rung: int, correct: Correct, seed_variance: float) -> Judgement:
        """Compare a trial with those before it, and add it to them.

        rung: its index. correct: [n], what the trial got right of the search split. seed_variance: of PGR,
        between seeds of one method.
        """
        rivals = self._rivals[branch, rung]
        judgement = Judgement(
            decision=decide(self._config, correct, rivals, self._gap, seed_variance),
            rivals=len(rivals),
        )
        rivals.add(correct)
        return judgement


PRIOR_DEGREES_OF_FREEDOM = 8  # given to the configured seed_sd


def seed_variance(
    config: PruningConfig, floors: BaselinesReady | None, *, squares: float = 0.0, degrees_of_freedom: int = 0
) -> float:
    """The variance of PGR between seeds, pooled by degrees of freedom over three sources.

    The sources are the configured `seed_sd` as a prior; the weak floor and the ceiling, whose seeds are
    trained before the first trial; and methods trained on several seeds. squares: the squared deviations of
    those methods from their means, on `degrees_of_freedom`.

    With several searched tasks it is that of the mean PGR, in all sources: seeds of different tasks are
    independent, so of n tasks the prior is an n-th of what it is on one.
    """
    tasks = max(1, len(floors.tasks)) if floors else 1
    from_floors, variance = (floors.seed_free, floors.seed_variance) if floors else (0, 0.0)
    total = PRIOR_DEGREES_OF_FREEDOM * config.seed_sd**2 / tasks + from_floors * variance + squares
    return total / (PRIOR_DEGREES_OF_FREEDOM + from_floors + degrees_of_freedom)
