"""What several tasks say together: the mean over these tasks, and what a new task of the kind may show."""

import math
from collections.abc import Sequence
from statistics import fmean, variance

from search.scoring.grader import BaselineScores
from search.scoring.pgr import Estimate, SeedVariance
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


def scores_over_tasks(tasks: Sequence[BaselineScores]) -> BaselineScores:
    """Means over tasks, with their errors; of a single task its own.

    The seed variance is that of a mean PGR: seeds of different tasks are independent.
    """
    if len(tasks) == 1:
        return tasks[0]
    n, free = len(tasks), min(task.seed_variance.free for task in tasks)
    weak, ceiling = (mean_over_tasks([getattr(task, one) for task in tasks]) for one in ("weak", "ceiling"))
    return BaselineScores(
        weak=weak,
        ceiling=ceiling,
        gap=sum(task.gap for task in tasks) / n,
        gap_se=sum(task.gap_se**2 for task in tasks) ** 0.5 / n,
        seed_variance=SeedVariance(
            value=sum(task.seed_variance.value for task in tasks) / n**2 if free else 0.0, free=free
        ),
        weak_seeds=_means([task.weak_seeds for task in tasks]),
        ceiling_seeds=_means([task.ceiling_seeds for task in tasks]),
        majority=fmean(task.majority for task in tasks),
        over_majority=mean_over_tasks([task.over_majority for task in tasks]),
    )


def _means(of_tasks: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Of each seed over the tasks."""
    return tuple(sum(seeds) / len(seeds) for seeds in zip(*of_tasks, strict=True))
