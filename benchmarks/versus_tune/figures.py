"""What a comparison with an opponent comes to: times of a run, and gains over seeds."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.versus_tune.space import WORKERS
from search.ledger.events import BaselinesReady, Event, RungReached
from search.ledger.log import read_ledger
from search.ledger.record import Record


def training_share(run: dict[str, Any]) -> float:
    """The share of the workers' time, from the first rung's seconds on, that was training."""
    return float(run["train_s"] / (WORKERS * (run["wall_s"] - run["start_s"])))


def times(out: Path) -> dict[str, float]:
    """A run's wall and training seconds (search alone, and with replicates) and highest search PGR.

    Naive's own replicates, which come last, choose nothing and count no more than the confirmation does.
    """
    events = read_ledger(out / "ledger.jsonl")
    record = Record.of(events)
    [ready] = [event.at for event in events if isinstance(event, BaselinesReady)]
    rungs = [
        event
        for event in events
        if isinstance(event, RungReached) and event.pgr is not None and record.trials[event.trial].branch
    ]
    of_search = _rungs_of_search(record, events)
    searched = [trial.ended_at or math.nan for trial in record.of_purpose("search")]
    replicated = [trial.ended_at or math.nan for trial in record.of_purpose("replicate") if trial.branch]
    return {
        "search_trials": len(searched),
        "start_s": min(rung.at - rung.train_s - rung.eval_s for rung in rungs) - ready,
        "search_wall_s": max(searched) - ready,
        "wall_s": max([*searched, *replicated]) - ready,
        "train_s": sum(rung.train_s + rung.eval_s for rung in rungs),
        "search_train_s": sum(trial.train_s for trial in record.of_purpose("search")),
        "best_search_pgr": max(rung.pgr for rung in of_search if rung.pgr is not None),
    }


def seconds_to_reach(out: Path, target: float) -> float | None:
    """Training seconds, over all search trials, until one of them scored `target`; None if none did."""
    events = read_ledger(out / "ledger.jsonl")
    spent = 0.0
    for rung in _rungs_of_search(Record.of(events), events):
        spent += rung.train_s + rung.eval_s
        if rung.pgr is not None and rung.pgr >= target:
            return spent
    return None


def _rungs_of_search(record: Record, events: Sequence[Event]) -> list[RungReached]:
    return [
        event
        for event in events
        if isinstance(event, RungReached) and record.trials[event.trial].purpose == "search"
    ]


def summary(rows: Sequence[dict[str, Any]], opponent: str) -> dict[str, Any]:
    """Medians over seeds, and gains in confirmed PGR with standard error and two-sided paired t-test."""
    beside = [row["opponents"][opponent] for row in rows]

    def median(name: str) -> float:
        return _median([one[name] for one in beside])

    return {
        "trials_an_hour_ratio": median("trials_an_hour_ratio"),
        "training_share_ratio": median("training_share_ratio"),
        "train_s_share": median("train_s_share"),
        "train_s_share_at_equal_time": median("train_s_share_at_equal_time"),
        "wall_share_at_equal_time": [
            one["ours_equal_time"]["wall_s"] / one["theirs"]["wall_s"] for one in beside
        ],
        "at_equal_time": _gain([one["confirmed_gain_at_equal_time"] for one in beside]),
        "at_equal_trials": _gain([one["confirmed_gain_at_equal_trials"] for one in beside]),
        "seeds": len(rows),
    }


def _gain(gains: Sequence[float]) -> dict[str, Any]:
    several = len(gains) > 1
    return {
        "confirmed_gain": float(np.mean(gains)),
        "se": float(np.std(gains, ddof=1) / math.sqrt(len(gains))) if several else None,
        "p": float(stats.ttest_1samp(gains, 0).pvalue) if several else None,
        "seeds_with_a_gain": sum(gain > 0 for gain in gains),
    }


def _median(shares: Sequence[float | None]) -> float:
    """Of shares where None is never: longer than any."""
    return float(np.median([math.inf if share is None else share for share in shares]))
