"""The stopping rule: which trials may go on past a rung. Pure: numbers in, a decision out."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy import stats

from search.pgr import Bools
from trainers.component import Frozen

Decision = Literal["continue", "stop"]


class PruningConfig(Frozen):
    """Asynchronous successive halving (Li et al., 2020) that asks how sure it is before it stops a trial.

    rungs: shares of a trial's training at which it is judged, the last one 1.
    keep: of the trials at a rung, one in so many is among the best.
    doubt: a trial outside the best goes on while the chance that it is truly as good as the worst of the best
        is above this.
    seed_sd: standard deviation of PGR between seeds of one method; 0.06 to 0.10 in published runs.
    """

    rungs: Annotated[tuple[float, ...], Field(min_length=1)] = (1 / 9, 1 / 3, 1.0)
    keep: Annotated[float, Field(ge=1.5, le=10)] = 3.0
    doubt: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    seed_sd: Annotated[float, Field(ge=0, le=1)] = 0.08
    min_rivals: Annotated[int, Field(ge=1, le=100)] = 4

    def model_post_init(self, _context: object) -> None:
        """Refuse rungs that are not rising shares ending in 1."""
        rising = all(low < high for low, high in zip(self.rungs, self.rungs[1:], strict=False))
        if not rising or self.rungs[0] <= 0 or self.rungs[-1] != 1:
            raise ValueError(f"rungs must be rising shares above 0, the last one 1, got {list(self.rungs)}")


def decide(config: PruningConfig, correct: Bools, rivals: Sequence[Bools], gap: float) -> Decision:
    """Whether a trial at a rung goes on, given all trials that reached the same rung before it.

    correct: bool [n], which search examples the trial got right. rivals: the same of each other trial.
    gap: ceiling minus weak floor, the unit of PGR.

    Fewer rivals than `min_rivals`: continue. Among the best one in `keep`, ties included: continue.
    Otherwise stop when the chance of being as good as the last of the best falls to `doubt`; the error of the
    difference is the paired one over examples together with the seed spread of both trials.
    """
    if len(rivals) < config.min_rivals:
        return "continue"
    by_accuracy = sorted(rivals, key=lambda rival: float(rival.mean()), reverse=True)
    places = max(1, int((len(rivals) + 1) / config.keep))
    last_of_best = by_accuracy[places - 1]
    paired = (last_of_best.astype(np.float64) - correct) / gap
    behind = float(paired.mean())
    if behind <= 0:
        return "continue"
    spread = float(paired.var(ddof=1)) / len(paired) if len(paired) > 1 else 0.0
    variance = spread + 2 * config.seed_sd**2
    chance = float(stats.norm.sf(behind / math.sqrt(variance))) if variance > 0 else 0.0
    return "continue" if chance > config.doubt else "stop"
