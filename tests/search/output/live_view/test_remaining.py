from types import SimpleNamespace

from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view.remaining import planned


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
    record.apply(events.started("r1", purpose="replicate"))
    record.apply(events.started("c1", purpose="confirm"))
    assert planned(config, record)["replicate"] == 1


def test_what_the_search_may_train_bounds_what_replicates_may(
    config: RunConfig, events: SimpleNamespace
) -> None:
    search = config.search.model_copy(update={"max_hours": 20 / 3600})
    replication = ReplicationConfig(seeds=3, effort=2.0)
    config = config.model_copy(update={"search": search, "replication": replication})
    record = Record.of([events.started("t1"), events.reached("t1", 1.0, 0.5), events.ended("t1")])
    assert planned(config, record)["replicate"] == 10  # 20 s of search, 40 s of further seeds, 4 s each


def test_a_search_that_is_over_has_as_many_trials_as_it_had(
    config: RunConfig, events: SimpleNamespace
) -> None:
    record = Record.of([events.started("t1"), events.reached("t1", 1.0, 0.5), events.ended("t1")])
    assert planned(config, record)["search"] == 8
    record.apply(Steered(finish=True))
    assert planned(config, record) == {"search": 1, "replicate": 0, "confirm": 9, "hidden": 0}
