"""How much of a run is left, in trials and in seconds of training."""

import heapq
from collections import Counter

import numpy as np

from search.config.schema import RunConfig
from search.engine.replication import stage_sizes
from search.ledger.events import Purpose
from search.ledger.record import Record


def planned(config: RunConfig) -> Counter[Purpose]:
    """The largest number of trials that the run can have, by what they are for."""
    return Counter[Purpose](
        {
            "search": config.search.trials,
            "replicate": sum(stage_sizes(config)),
            "confirm": (1 + config.confirm.finalists) * config.confirm.seeds,
        }
    )


def trained_s(record: Record) -> float:
    """Seconds that workers have trained and evaluated, in all trials together."""
    return sum(trial.train_s for trial in record.trials.values())


def training_left_s(config: RunConfig, record: Record) -> float | None:
    """Seconds of training and evaluating that are left; None until a trial of the search has reached a rung.

    A trial of the search that has yet to start counts as the mean of those before it. A replicate counts as
    the mean seconds that the best methods took up to their best rung, a confirmation likewise, and both as
    their own mean once there is one. What has begun counts what it has not yet trained of that mean.
    """
    searched = [trial for trial in record.of_purpose("search") if trial.rungs]
    if not searched:
        return None
    counted = max(config.replicated, config.confirm.finalists)
    best = heapq.nlargest(counted, searched, key=lambda trial: trial.best_pgr or 0.0)
    to_best = [
        sum(rung.train_s + rung.eval_s for share, rung in trial.rungs.items() if share <= found.share)
        for trial in best
        if (found := trial.best) is not None
    ]
    expected: dict[Purpose, list[float]] = {
        "search": [trial.train_s for trial in searched],
        "replicate": to_best[: config.replicated],
        "confirm": to_best[: config.confirm.finalists],
    }
    left: dict[Purpose, float] = {}
    for purpose, count in planned(config).items():
        trials = list(record.of_purpose(purpose))
        took = [trial.train_s for trial in trials if trial.state is not None] or expected[purpose]
        mean = float(np.mean(took))
        begun = sum(max(0.0, mean - trial.train_s) for trial in trials if trial.state is None)
        left[purpose] = mean * max(0, count - len(trials)) + begun
    if (hours := config.search.max_hours) is not None:
        spent = sum(trial.train_s for trial in record.of_purpose("search"))
        left["search"] = min(left["search"], max(0.0, hours * 3600 - spent))
    return sum(left.values())
