"""What several tasks say together: the mean over these tasks, and what a new task of the kind may show."""

import math
from collections.abc import Sequence
from statistics import fmean, variance

from search.scoring.pgr import Estimate
from trainers.lazy import special


def mean_over_tasks(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over these tasks, each measured by itself, with the error of seeds and examples.

    The tasks are fixed: it says how well these are known, not how others would come out. The errors of tasks
    are independent; degrees of freedom by Satterthwaite (1946). Raises ValueError without tasks.
    """
    if not estimates:
        raise ValueError("a mean over tasks needs one at least")
    parts = [(estimate.se / len(estimates)) ** 2 for estimate in estimates]
    value, total = fmean(estimate.value for estimate in estimates), sum(parts)
    if total == 0:
        return Estimate(value=value, se=0.0, df=math.inf)
    squares = sum(part**2 / estimate.df for part, estimate in zip(parts, estimates, strict=True))
    return Estimate(value=value, se=math.sqrt(total), df=total**2 / squares if squares else math.inf)


def new_task_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Where a further task of the kind would come out with 95%, if it were measured as these were.

    The prediction interval of Student's t, mean ± t(n - 1) s sqrt(1 + 1 / n), exact where tasks are drawn
    from a normal distribution: few tasks make it wide, since they hardly say how much tasks differ. None for
    fewer than two tasks.
    """
    n = len(values)
    if n < 2:
        return None
    half = float(special.stdtrit(n - 1, 0.975)) * math.sqrt(variance(values) * (1 + 1 / n))
    mean = fmean(values)
    return mean - half, mean + half
