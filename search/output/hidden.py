"""The hidden tasks' part of result.json: what finalists are worth where the search did not look."""

from collections.abc import Iterator, Sequence
from typing import Any

from search.engine.confirmation import Confirmed, Finalist
from search.ledger.record import Record
from search.output.openings import opened_test_row
from search.output.result import (
    TaskOutcome,
    confirmed_row,
    finalist_row,
    floors_row,
    pgr_row,
)
from search.scoring.across_tasks import mean_over_tasks, new_task_interval
from search.scoring.pgr import Estimate


def hidden_part(record: Record, own: TaskOutcome, hidden: Sequence[TaskOutcome]) -> dict[str, Any] | None:
    """Every hidden task, and each finalist over all of them; None without hidden tasks.

    `tasks` has for each task what result.json has for the search's own; `missing` says why a finalist was not
    confirmed there. `naive` and `finalists` are over tasks: `on` names those that have a gap and the method,
    and of these are the mean PGR, the mean gain over naive, its one-sided p, each with the error over seeds
    and examples on these tasks, and `new_task95`, where the gain on a further task of the kind would come
    out. `shrinkage` is by how much the gain is smaller there than on the search's own task. Finalists stand
    in the order of the search; `best` is the first, which was chosen without these tasks.
    """
    if not hidden:
        return None
    finalists = [
        {"branch": finalist.trial.branch, **_over_tasks(finalist, confirmed, hidden)}
        for finalist, confirmed in own.confirmation.finalists
    ]
    naives = [(one.task, one.confirmation.naive.pgr) for one in hidden]
    return {
        "tasks": [_task(record, outcome) for outcome in hidden],
        "naive": _mean([(task, pgr) for task, pgr in naives if pgr is not None]),
        "best": finalists[0],
        "finalists": finalists,
    }


def _task(record: Record, outcome: TaskOutcome) -> dict[str, Any]:
    confirmation, opened = outcome.confirmation, record.opened_elsewhere.get(outcome.task)
    return {
        "name": outcome.task,
        "baselines": floors_row(outcome.baselines),
        "naive": confirmed_row(confirmation.naive),
        "finalists": [finalist_row(finalist, confirmed) for finalist, confirmed in confirmation.finalists],
        "missing": [{"branch": finalist.trial.branch, "why": why} for finalist, why in confirmation.missing],
        "test_split": opened_test_row(record, opened),
    }


def _over_tasks(finalist: Finalist, own: Confirmed, hidden: Sequence[TaskOutcome]) -> dict[str, Any]:
    """A finalist over the tasks that have it. own: on the search's own task."""
    found = list(_on_tasks(finalist, hidden))
    gains = [(task, confirmed.gain) for task, confirmed in found if confirmed.gain is not None]
    gain = mean_over_tasks([one for _, one in gains]) if gains else None
    new = new_task_interval([one.value for _, one in gains])
    return {
        **_mean([(task, confirmed.pgr) for task, confirmed in found if confirmed.pgr is not None]),
        "over_naive": {**pgr_row(gain), "new_task95": None if new is None else list(new)},
        "beats_naive_p": None if gain is None else gain.p_positive,
        "shrinkage": own.gain.value - gain.value if own.gain and gain else None,
    }


def _on_tasks(finalist: Finalist, hidden: Sequence[TaskOutcome]) -> Iterator[tuple[str, Confirmed]]:
    for outcome in hidden:
        for one, confirmed in outcome.confirmation.finalists:
            if one.trial is finalist.trial:
                yield outcome.task, confirmed


def _mean(pgrs: Sequence[tuple[str, Estimate]]) -> dict[str, Any]:
    mean = mean_over_tasks([pgr for _, pgr in pgrs]) if pgrs else None
    return {"on": [task for task, _ in pgrs], **pgr_row(mean)}
