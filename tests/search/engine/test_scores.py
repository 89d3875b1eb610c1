from types import SimpleNamespace

import numpy as np
import pytest

from search.engine.scores import TrialScores, earlier_scores
from search.ledger.earlier import EarlierScore, EarlierTask
from search.ledger.events import TaskBaselines, TaskReached
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.policy.encoding import encode
from search.policy.ladder import Places
from search.policy.observations import Scoreboard
from search.policy.promotion import task_codes
from search.scoring.objective import Objective, additive
from trainers.components.optim import Adamw
from trainers.method import Method

TASKS = ("reviews", "quarrels")
GAPS = {"reviews": 0.3, "quarrels": 0.1}
RUNGS = (1 / 3, 1.0)


def reached(trial: str, task: str, pgr: float, share: float = 1 / 3) -> TaskReached:
    return TaskReached(
        trial=trial, share=share, predictions="00", task=task, pgr=pgr, setup_s=0, train_s=1, eval_s=0
    )


def scored(
    events: SimpleNamespace, *found: tuple[str, str, float], objective: Objective = "mean"
) -> list[float]:
    """What each of these scores makes of its trial: (trial, task, PGR), the first task of each its own."""
    record, board = Record(), Scoreboard(2)
    floors = {"weak_se": 0.0, "ceiling_se": 0.0, "weak_acc": 0.5, "examples": 100}
    of_tasks = (TaskBaselines(name=name, ceiling_acc=0.5 + gap, **floors) for name, gap in GAPS.items())
    record.apply(events.baselines(tasks=tuple(of_tasks)))
    scores = TrialScores(board, record, Places(RUNGS, TASKS), task_codes(2), objective)
    values = []
    for number, (trial, task, pgr) in enumerate(found):
        first = trial not in record.trials
        if first:
            record.apply(events.started(trial, method=Method(optim=Adamw(lr=1e-3 * (number + 1))), on=task))
        event = reached(trial, task, pgr)
        record.apply(event)
        values.append(scores.add(record.trials[trial], event, task, first=first))
    return values


def test_trials_that_began_with_an_easy_task_are_not_ahead_for_it(events: SimpleNamespace) -> None:
    """Quarrels are .4 harder: of two trials that are each task's only one so far, neither is ahead."""
    _, easy, hard = scored(events, ("t1", "reviews", 0.7), ("t2", "reviews", 0.7), ("t3", "quarrels", 0.3))
    assert easy == hard == pytest.approx(0.0)


def test_over_tasks_a_trial_counts_its_mean_beyond_what_is_due_to_each(events: SimpleNamespace) -> None:
    *_, both = scored(
        events,
        ("t1", "reviews", 0.7),
        ("t2", "quarrels", 0.3),
        ("t3", "reviews", 0.9),
        ("t3", "quarrels", 0.6),
    )
    easy, hard = np.median([0.7, 0.9]), 0.3
    assert both == pytest.approx(((0.9 - easy) + (0.6 - hard)) / 2)


def test_an_objective_of_its_own_scale_is_compared_on_that(events: SimpleNamespace) -> None:
    (first,) = scored(events, ("t1", "reviews", 0.7), objective="geometric")
    assert first == pytest.approx(0.0)
    *_, second = scored(events, ("t1", "reviews", 0.7), ("t2", "reviews", 0.9), objective="geometric")
    parts = [additive(pgr, "geometric") for pgr in (0.7, 0.9)]
    assert second == pytest.approx(parts[1] - np.median(parts))


def test_pooled_a_task_counts_by_its_gap(events: SimpleNamespace) -> None:
    """Of two trials on quarrels, whose gap is half of the mean gap, half of what they differ by counts."""
    *_, second = scored(events, ("t1", "quarrels", 0.2), ("t2", "quarrels", 0.6), objective="pooled")
    assert second == pytest.approx(0.5 * (0.6 - np.median([0.2, 0.6])))


def test_a_failure_ranks_below_all_others(events: SimpleNamespace) -> None:
    board, record = Scoreboard(), Record()
    scores = TrialScores(board, record, Places(RUNGS, ("",)), task_codes(1), "mean")
    for trial in ("t1", "t2"):
        record.apply(events.started(trial, share=1 / 3))
    good: TrialRecord = record.trials["t1"]
    event = events.reached("t1", 1 / 3, -0.5)
    record.apply(event)
    assert scores.add(good, event, "", first=True) == -0.5
    scores.add_failure(record.trials["t2"])
    values = board.sample(10, np.random.default_rng(0)).values
    assert values[1] < values[0]


def test_scores_of_earlier_runs_are_ranked_by_themselves() -> None:
    """One run's gap was so small that its PGRs are tenfold; a share between rungs is that of the nearest."""

    def task(run: str, scale: float) -> EarlierTask:
        methods = [Method(optim=Adamw(lr=lr)) for lr in (1e-3, 2e-3, 4e-3)]
        pgrs = (0.1 * scale, 0.2 * scale, 0.3 * scale)
        scores = (
            EarlierScore(method=method, share=0.3, pgr=pgr) for method, pgr in zip(methods, pgrs, strict=True)
        )
        return EarlierTask(run=run, scores=tuple(scores))

    codes = task_codes(3)
    found = earlier_scores([task("one", 1.0), task("two", 10.0)], codes[1:], RUNGS)
    assert found is not None
    assert list(found.values[:3]) == list(found.values[3:])
    assert list(found.values[:3]) == pytest.approx([-0.967422, 0, 0.967422], abs=1e-6)
    assert list(found.rungs) == [0] * 6
    assert np.array_equal(found.points[2, -3:], codes[1])
    assert np.array_equal(found.points[3, -3:], codes[2])
    assert np.array_equal(found.points[3, :-3], encode(Method(optim=Adamw(lr=1e-3)).stopped_at(0.3)))
    assert earlier_scores([], [], RUNGS) is None
