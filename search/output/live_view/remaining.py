"""How many trials a run will have, by what they are for."""

import heapq
from collections import Counter
from collections.abc import Sequence

import numpy as np

from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.engine.confirmation import planned_confirmation
from search.engine.replication import stage_budgets
from search.ledger.events import Purpose
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord

LIKELY = 12  # methods with further seeds, where nothing says how many: the best tell what such take


def planned(config: RunConfig, record: Record) -> Counter[Purpose]:
    """The number of trials that the run will have, by what they are for.

    Of the search it is the largest, until the search is over. Replicates that are paid by the second are
    estimated until the confirmation begins, and so is another confirmation while a search that was extended
    goes on. Finalists that cannot run on a hidden task are left out as far as that is known without asking a
    model, which takes seconds: see `hidden_is_exact`.
    """
    return Counter[Purpose](
        {
            "search": _methods(config, record),
            "replicate": _replicates(config, record),
            "confirm": _confirmation(config, record),
            "hidden": _hidden(config, record),
        }
    )


def _methods(config: RunConfig, record: Record) -> int:
    """How many methods the search tries, at most until it is over; each may get every further seed once."""
    started = record.tally("search").started
    over = record.search_over or record.course.finishing or record.finished
    return started if over else max(started, config.search.trials)


def _confirmation(config: RunConfig, record: Record) -> int:
    """All trials of the confirmation; after an earlier one those of it, and those due as things stand."""
    usual = (1 + config.confirm.finalists) * config.confirm.seeds
    started = {(trial.method.digest, trial.seed) for trial in record.of_purpose("confirm")}
    if not started:
        return usual
    plan = planned_confirmation(config, record)
    due = sum((method.digest, seed) not in started for method, seed in plan)
    return max(usual, record.tally("confirm").started + due)


def _hidden(config: RunConfig, record: Record) -> int:
    if record.finished:
        return record.tally("hidden").started
    if not config.hidden or not record.confirming:
        return len(config.hidden) * (1 + config.confirm.finalists) * config.confirm.seeds
    return sum(_on_hidden(config, record, task) for task in config.hidden)


def _on_hidden(config: RunConfig, record: Record, hidden: HiddenTask) -> int:
    """Trials on a hidden task: of naive and the finalists; all of these where a model must be asked."""
    if (known := _known_of(record, hidden)) is not None:
        return known
    task = hidden if config.offer_is_known_on(hidden) else None
    return len(planned_confirmation(config, record, task))


def _known_of(record: Record, hidden: HiddenTask) -> int | None:
    """The trials of a hidden task's confirmation, once the run has written how many there are."""
    read = record.hidden_read.get(hidden.name)
    return None if read is None else read.trials


def hidden_is_exact(config: RunConfig, record: Record) -> bool:
    """Whether as many trials on hidden tasks as are planned will certainly start."""
    if record.finished:
        return True
    return record.confirming and all(
        _known_of(record, task) is not None or config.offer_is_known_on(task) for task in config.hidden
    )


def _replicates(config: RunConfig, record: Record) -> int:
    begun = sum(1 for _ in record.of_purpose("replicate"))
    if record.confirming or record.course.finishing or record.finished:
        return begun
    naive = config.replication.seeds
    if config.replication.methods is not None:
        return naive + int(sum(stage_budgets(config, record)))
    fewest = config.confirm.finalists * len(config.replication_seeds())
    searched = _searched(record)
    if not fewest or not searched:
        return naive + fewest
    seconds = record.train_s("search") + search_left_s(config, record)
    likely = config.replication.effort * seconds / max(likely_s(searched, LIKELY), 1e-9)
    most = len(config.replication_seeds()) * _methods(config, record)
    return max(begun, naive + max(fewest, round(min(likely, most))))


def search_left_s(config: RunConfig, record: Record) -> float:
    """Seconds of the search that are left, if a trial that has yet to start takes what others took.

    0 where none has shown what it takes.
    """
    if record.search_over or record.course.finishing:
        return 0.0
    searched = _searched(record)
    mean = float(np.mean([trial.train_s for trial in searched])) if searched else 0.0
    left = mean * max(0, config.search.trials - record.tally("search").started)
    if (hours := config.search.max_hours) is not None:
        left = min(left, max(0.0, hours * 3600 - record.train_s("search")))
    return left


def _searched(record: Record) -> list[TrialRecord]:
    return [trial for trial in record.of_purpose("search") if trial.rungs]


def likely_s(searched: Sequence[TrialRecord], count: int = LIKELY) -> float:
    """Mean seconds up to the best rung, over so many of the best trials."""
    best = heapq.nlargest(count, searched, key=lambda trial: trial.best_pgr or 0.0)
    return float(np.mean([trial.best_s for trial in best]))
