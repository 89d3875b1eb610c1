from types import SimpleNamespace

from search.ledger.record import Record
from trainers.components.optim import Adamw
from trainers.method import Method


def test_the_last_rung_is_the_highest_share(events: SimpleNamespace) -> None:
    record = Record.of(
        [events.started("t1"), events.reached("t1", 1 / 3, 0.3), events.reached("t1", 1 / 9, 0.1)]
    )
    assert record.trials["t1"].last.pgr == 0.3


def test_a_trial_without_a_rung_has_no_last_one(events: SimpleNamespace) -> None:
    record = Record.of([events.started("t1"), events.ended("t1", "failed", "out of memory")])
    trial = record.trials["t1"]
    assert trial.last is None
    assert (trial.train_s, trial.cause) == (0.0, "out of memory")


def test_a_trial_stands_for_the_method_that_stops_where_it_was_best(events: SimpleNamespace) -> None:
    method = Method(optim=Adamw(lr=1e-3))
    told = [events.started("t1", method=method)]
    trial = Record.of(told).trials["t1"]
    assert (trial.best, trial.best_pgr, trial.best_method) == (None, None, method)
    told += [events.reached("t1", share, pgr) for share, pgr in ((1 / 9, 0.2), (1 / 3, 0.5), (1.0, 0.5))]
    trial = Record.of(told).trials["t1"]
    assert trial.best.share == 1 / 3  # the cheaper of two equals
    assert (trial.best_pgr, trial.best_method) == (0.5, method.stopped_at(1 / 3))


def test_predictions_on_the_test_split_have_no_best_rung(events: SimpleNamespace) -> None:
    told = [events.started("c1", purpose="confirm"), events.reached("c1", 1.0, None), events.ended("c1")]
    assert Record.of(told).trials["c1"].best_pgr is None


def test_of_several_tasks_a_trial_has_its_pgr_on_each_where_it_is_best(events: SimpleNamespace) -> None:
    first = events.reached_on("t1", {"a": 0.1, "b": 0.3}, 1 / 3)
    told = [events.started("t1"), first[0]]
    alone = Record.of(told).trials["t1"]
    assert (alone.best, alone.best_on_tasks) == (None, {"a": 0.1})  # no rung yet, but on a task
    assert (alone.train_s, alone.seconds) == (4.0, 4.5)
    told += [*first[1:], *events.reached_on("t1", {"a": 0.5, "b": -0.2})]
    trial = Record.of(told).trials["t1"]
    assert (trial.best.share, trial.best_on_tasks) == (1 / 3, {"a": 0.1, "b": 0.3})
    assert Record.of([events.started("t2"), events.reached("t2")]).trials["t2"].best_on_tasks == {}
