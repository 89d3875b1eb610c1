"""The outcome on several searched tasks: on each, and over all of them."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from search.engine.confirmation import Confirmation, Confirmed, SeedOutcome
from search.ledger.record import Record
from search.output.openings import opened_test_row
from search.output.result import TaskOutcome, confirmed_row, finalist_row, floors_row
from search.scoring.across_tasks import mean_over_tasks, new_task_interval, scores_over_tasks
from search.scoring.collapses import Collapses
from search.scoring.pgr import Estimate
from search.scoring.sign_flip import SignFlip, sign_flip


def tasks_part(record: Record, outcomes: Sequence[TaskOutcome]) -> list[dict[str, Any]]:
    """For each task what result.json has for a single one; its test split, as often as it was opened."""
    return [
        {
            "name": outcome.task,
            "baselines": floors_row(outcome.baselines),
            "naive": confirmed_row(outcome.confirmation.naive),
            "finalists": [
                finalist_row(finalist, confirmed) for finalist, confirmed in outcome.confirmation.finalists
            ],
            "test_split": opened_test_row(
                record, record.opened_elsewhere.get(outcome.task) or record.test_opened
            ),
        }
        for outcome in outcomes
    ]


def over_tasks(outcomes: Sequence[TaskOutcome]) -> TaskOutcome:
    """The outcome over all tasks; of a single one its own.

    PGRs and gains are means over the tasks that have a gap on the test split, accuracies over all. Errors
    count seeds, examples and supervisors of these tasks, which are independent of each other.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    first, *_ = confirmations = [outcome.confirmation for outcome in outcomes]
    by_method = list(zip(*(one.finalists for one in confirmations), strict=True))
    return TaskOutcome(
        confirmation=Confirmation(
            naive=_together([one.naive for one in confirmations]),
            naive_search_pgr=first.naive_search_pgr,  # over all tasks already
            finalists=[
                (on_tasks[0][0], _together([confirmed for _, confirmed in on_tasks]))
                for on_tasks in by_method
            ],
            missing=first.missing,
        ),
        baselines=scores_over_tasks([outcome.baselines for outcome in outcomes]),
        new_task95=tuple(_new_task95([confirmed for _, confirmed in on_tasks]) for on_tasks in by_method),
    )


def _new_task95(confirmed: Sequence[Confirmed]) -> tuple[float, float] | None:
    return new_task_interval([one.gain.value for one in confirmed if one.gain is not None])


def _together(on_tasks: Sequence[Confirmed]) -> Confirmed:
    """A method over tasks, from its statistics on each."""
    seeds = [_seed(of_tasks) for of_tasks in zip(*(one.per_seed for one in on_tasks), strict=True)]
    predictions = [one.predictions for one in on_tasks if one.predictions is not None]
    return Confirmed(
        method=on_tasks[0].method,
        accuracy=mean_over_tasks([one.accuracy for one in on_tasks]),
        accuracy_gain=mean_over_tasks([one.accuracy_gain for one in on_tasks]),
        pgr=_mean([one.pgr for one in on_tasks]),
        gain=_mean([one.gain for one in on_tasks]),
        sign_flip=_flipped(seeds),
        per_seed=tuple(seeds),
        collapses=_collapses([one.collapses for one in on_tasks if one.collapses is not None]),
        predictions=tuple(seed for of_task in predictions for seed in of_task) or None,
    )


def _mean(estimates: Sequence[Estimate | None]) -> Estimate | None:
    known = [one for one in estimates if one is not None]
    return mean_over_tasks(known) if known else None


def _seed(on_tasks: Sequence[SeedOutcome]) -> SeedOutcome:
    pgrs, gains = ([getattr(one, name) for one in on_tasks] for name in ("pgr", "gain"))
    return SeedOutcome(
        seed=on_tasks[0].seed,
        supervisor=on_tasks[0].supervisor,
        accuracy=fmean(one.accuracy for one in on_tasks),
        pgr=_known_mean(pgrs),
        gain=_known_mean(gains),
    )


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _flipped(seeds: Sequence[SeedOutcome]) -> SignFlip | None:
    """The exact test of the mean gains of supervisors, or of seeds where all have the same."""
    gains = np.array([seed.gain for seed in seeds if seed.gain is not None])
    taught = np.array([seed.supervisor for seed in seeds if seed.gain is not None])
    if len(gains) == 0:
        return None
    supervisors = np.unique(taught)
    if len(supervisors) > 1:
        gains = np.array([gains[taught == one].mean() for one in supervisors])
    return sign_flip(gains)


def _collapses(on_tasks: Sequence[Collapses]) -> Collapses | None:
    """The seeds on which a method collapsed on any task. below: the mean of what counts as one on each."""
    if not on_tasks:
        return None
    flags = tuple(any(flags) for flags in zip(*(one.flags for one in on_tasks), strict=True))
    return Collapses(below=fmean(one.below for one in on_tasks), flags=flags)
