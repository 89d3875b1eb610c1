"""How much of a run is left, in trials and in seconds of training."""

import heapq
from collections import Counter
from collections.abc import Sequence

import numpy as np

from search.config.schema import RunConfig
from search.engine.replication import stage_budgets
from search.ledger.events import Purpose
from search.ledger.record import Record, TrialRecord

LIKELY = 12  # methods with further seeds, where nothing says how many: the best tell what such take


def planned(config: RunConfig, record: Record) -> Counter[Purpose]:
    """The number of trials that the run will have, by what they are for.

    Of the search it is the largest. Replicates that are paid by the second are estimated until the
    confirmation begins.
    """
    return Counter[Purpose](
        {
            "search": config.search.trials,
            "replicate": _replicates(config, record),
            "confirm": (1 + config.confirm.finalists) * config.confirm.seeds,
            "hidden": len(config.hidden) * (1 + config.confirm.finalists) * config.confirm.seeds,
        }
    )


def _replicates(config: RunConfig, record: Record) -> int:
    begun = sum(1 for _ in record.of_purpose("replicate"))
    if record.tally("confirm").started:
        return begun
    if config.replication.methods is not None:
        return int(sum(stage_budgets(config, record)))
    fewest = config.confirm.finalists * len(config.replication_seeds())
    searched = _searched(record)
    if not fewest or not searched:
        return fewest
    seconds = record.train_s("search") + _search_left_s(config, record)
    likely = config.replication.effort * seconds / max(_likely_s(searched, LIKELY), 1e-9)
    return max(begun, fewest, round(likely))


def trained_s(record: Record) -> float:
    """Seconds that workers have trained and evaluated, in all trials together."""
    return sum(trial.train_s for trial in record.trials.values())


def training_left_s(config: RunConfig, record: Record) -> float | None:
    """Seconds of training and evaluating that are left; None until a trial of the search has reached a rung.

    A trial of the search that has yet to start counts as the mean of those before it. A replicate or a
    confirmation counts as the mean seconds that the best methods took up to their best rung, and as the mean
    of its like once there is one. What has begun counts what it has not yet trained of that mean.
    """
    searched = _searched(record)
    if not searched:
        return None
    counts = planned(config, record)
    following: dict[Purpose, int] = {
        "replicate": config.replication.methods or LIKELY,
        "confirm": config.confirm.finalists,
        "hidden": config.confirm.finalists,
    }
    return _search_left_s(config, record) + sum(
        _left_s(list(record.of_purpose(purpose)), counts[purpose], _likely_s(searched, best))
        for purpose, best in following.items()
    )


def _search_left_s(config: RunConfig, record: Record) -> float:
    if record.tally("replicate").started or record.tally("confirm").started:
        return 0.0
    trials = list(record.of_purpose("search"))
    searched = _searched(record)
    mean = float(np.mean([trial.train_s for trial in searched])) if searched else 0.0
    left = _left_s(trials, config.search.trials, mean)
    if (hours := config.search.max_hours) is not None:
        left = min(left, max(0.0, hours * 3600 - record.train_s("search")))
    return left


def _left_s(trials: Sequence[TrialRecord], count: int, unknown: float) -> float:
    """Seconds that trials of a purpose have left. count: of all. unknown: of one, while none has ended."""
    ended = [trial.train_s for trial in trials if trial.state is not None]
    mean = float(np.mean(ended)) if ended else unknown
    begun = sum(max(0.0, mean - trial.train_s) for trial in trials if trial.state is None)
    return mean * max(0, count - len(trials)) + begun


def _searched(record: Record) -> list[TrialRecord]:
    return [trial for trial in record.of_purpose("search") if trial.rungs]


def _likely_s(searched: Sequence[TrialRecord], count: int) -> float:
    """Mean seconds up to the best rung, over so many of the best trials."""
    best = heapq.nlargest(count, searched, key=lambda trial: trial.best_pgr or 0.0)
    return float(np.mean([trial.best_s for trial in best]))
