from types import SimpleNamespace

import pytest

from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.ledger.record import Record
from search.output.remaining import planned, trained_s, training_left_s


def test_what_is_planned_by_purpose(config: RunConfig) -> None:
    # Naive and two finalists on three seeds each are confirmed.
    assert planned(config, Record()) == {"search": 8, "replicate": 0, "confirm": 9, "hidden": 0}


def test_replicates_are_estimated_by_seconds_until_they_are_all_there(
    config: RunConfig, events: SimpleNamespace
) -> None:
    config = config.model_copy(update={"replication": ReplicationConfig(seeds=3, effort=0.5)})
    assert planned(config, Record())["replicate"] == 4  # two finalists on two seeds
    record = Record.of(
        [
            events.started("t1"),
            events.reached("t1", 1 / 3, 0.5, train_s=1.0),
            events.reached("t1", 1.0, 0.4, train_s=5.0),
        ]
    )
    # Eight trials of 8 s: 32 s for further seeds, and 2 s to the best rung.
    assert planned(config, record)["replicate"] == 16
    assert training_left_s(config, record) == pytest.approx(7 * 8 + 16 * 2 + 9 * 2)
    record.apply(events.started("r1", purpose="replicate"))
    record.apply(events.started("c1", purpose="confirm"))
    assert planned(config, record)["replicate"] == 1


def test_nothing_is_made_up_before_the_first_rung(config: RunConfig, events: SimpleNamespace) -> None:
    assert training_left_s(config, Record()) is None
    assert training_left_s(config, Record.of([events.started("t1")])) is None


def test_what_is_left_counts_the_seconds_of_what_was_trained(
    config: RunConfig, events: SimpleNamespace
) -> None:
    record = Record.of(
        [
            events.started("t1"),
            events.reached("t1", 1 / 3, 0.5, train_s=1.0),  # and 1 s of evaluation: the method that wins
            events.reached("t1", 1.0, 0.4, train_s=7.0),
            events.ended("t1"),
            events.started("t2"),
            events.reached("t2", 1 / 3, 0.3, train_s=3.0),
            events.ended("t2", "pruned"),
            events.started("t3"),
        ]
    )
    # Ended trials took 10 s and 4 s: 7 s for each of five more, and for the one that runs. The finalists took
    # 2 s and 4 s up to their best rungs: 3 s for each of nine confirmations.
    assert trained_s(record) == 14
    assert training_left_s(config, record) == pytest.approx(5 * 7 + 7 + 9 * 3)
    record.apply(events.reached("t3", 1 / 3, 0.1, train_s=1.0))
    assert training_left_s(config, record) == pytest.approx(5 * 7 + 5 + 9 * 3)
    record.apply(events.started("c1", purpose="confirm"))
    record.apply(events.reached("c1", 1.0, None, train_s=5.0))
    record.apply(events.ended("c1"))
    assert training_left_s(config, record) == pytest.approx(8 * 6)  # the search is over, whatever it had left


def test_the_search_trains_no_longer_than_it_may(config: RunConfig, events: SimpleNamespace) -> None:
    hours = {"search": config.search.model_copy(update={"max_hours": 10 / 3600})}
    record = Record.of([events.started("t1"), events.reached("t1", 1.0, 0.5), events.ended("t1")])
    assert training_left_s(config.model_copy(update=hours), record) == pytest.approx(6 + 9 * 4)
