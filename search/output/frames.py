"""A run as data frames: its trials, their curves, what was confirmed, seed by seed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from agents.language.naming import method_values
from search.ledger.events import Reached, TaskReached
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.output.result import Outcome

if TYPE_CHECKING:
    from pandas import DataFrame


def trials_frame(record: Record) -> "DataFrame":
    """A row for each trial, in the order in which they began.

    task: the hidden task it learned, empty for the search's own. stop, accuracy, pgr, se: at its best rung;
    none of a confirmation trial, which predicts the test split. pgr_on_TASK: of several searched tasks, on
    each of them there; before a rung on all tasks, on those that it has been on. The columns from
    `labels.kind` on hold its method, stopped there.
    """
    tasks = [task.name for task in record.baselines.tasks] if record.baselines else []
    return _frame([_trial(trial, tasks) for trial in record.trials.values()])


def curves_frame(record: Record) -> "DataFrame":
    """A row for each rung that a trial reached on the search split; seconds: since the rung before.

    task: of several searched tasks, a row for each that a rung was reached on; "" for the rung over all.
    """
    return _frame(
        [
            {
                "trial": trial.trial,
                "branch": trial.branch,
                "task": reached.task if isinstance(reached, TaskReached) else "",
                "share": reached.share,
                "accuracy": reached.accuracy,
                "pgr": reached.pgr,
                "se": reached.se,
                "seconds": reached.seconds,
            }
            for trial in record.trials.values()
            for reached in _reached(trial)
            if reached.pgr is not None
        ]
    )


def _reached(trial: TrialRecord) -> list[Reached]:
    """By share, and at each first on single tasks."""
    return sorted((*trial.on_tasks.values(), *trial.rungs.values()), key=lambda reached: reached.share)


def methods_frame(outcome: Outcome) -> "DataFrame":
    """A row for naive and each confirmed method, on the test split. low, high: the 95% interval of PGR."""
    return _frame([_confirmed(name, row) for name, row in _confirmed_rows(outcome)])


def seeds_frame(outcome: Outcome) -> "DataFrame":
    """A row for each seed of naive and of each confirmed method, on the test split."""
    rows = _confirmed_rows(outcome)
    return _frame([{"method": name} | dict(seed) for name, row in rows for seed in row["per_seed"]])


def _confirmed_rows(outcome: Outcome) -> Iterator[tuple[str, Outcome]]:
    yield "naive", outcome["naive"]
    for row in outcome["finalists"]:
        yield row["branch"], row


def _confirmed(name: str, row: Outcome) -> dict[str, Any]:
    low, high = row["ci95"] or (None, None)
    return {
        "method": name,
        "accuracy": row["accuracy"],
        "accuracy_se": row["accuracy_se"],
        "pgr": row["pgr"],
        "se": row["se"],
        "low": low,
        "high": high,
        "over_naive": row["over_naive"]["pgr"] if "over_naive" in row else None,
        "beats_naive_p": row.get("beats_naive_p"),
        "search_pgr": row.get("search_pgr"),
        "seeds": row["seeds"],
        "collapsed": row["collapses"]["count"] if row["collapses"] else None,
    }


def _trial(trial: TrialRecord, tasks: Sequence[str]) -> dict[str, Any]:
    best, on_tasks = trial.best, trial.best_on_tasks
    return {
        "trial": trial.trial,
        "purpose": trial.purpose,
        "branch": trial.branch,
        "task": trial.task,
        "seed": trial.seed,
        "state": trial.state_now,
        "stop": best.share if best else None,
        "accuracy": best.accuracy if best else None,
        "pgr": best.pgr if best else None,
        "se": best.se if best else None,
        **{f"pgr_on_{task}": on_tasks.get(task) for task in tasks},
        "train_s": trial.train_s,
        "cause": trial.cause,
        **method_values(trial.best_method),
    }


def _frame(rows: list[dict[str, Any]]) -> "DataFrame":
    import pandas  # takes half a second

    return pandas.DataFrame(rows)
