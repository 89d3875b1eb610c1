from pathlib import Path
from types import SimpleNamespace

import pytest

from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.config.tasks import HiddenTask
from search.ledger.events import HiddenRead
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view.remaining import hidden_is_exact, planned
from trainers.components.losses import Gce
from trainers.components.orders import PlainInputs
from trainers.data.settings import DatasetTask, PairFields, ToyTask
from trainers.method import Method
from trainers.models.settings import HubModel


def test_what_is_planned_by_purpose(config: RunConfig) -> None:
    # Naive is trained on the search's seed too; it and two finalists are confirmed on three seeds each.
    assert planned(config, Record()) == {"search": 8, "replicate": 1, "confirm": 9, "hidden": 0}


def test_replicates_are_estimated_by_seconds_until_they_are_all_there(
    config: RunConfig, events: SimpleNamespace
) -> None:
    config = config.model_copy(update={"replication": ReplicationConfig(seeds=3, effort=0.5)})
    assert planned(config, Record())["replicate"] == 7  # two finalists on two seeds, naive on three
    record = Record.of(
        [
            events.started("t1"),
            events.reached("t1", 1 / 3, 0.5, train_s=1.0),
            events.reached("t1", 1.0, 0.4, train_s=5.0),
        ]
    )
    # Eight trials of 8 s: 32 s for further seeds, and 2 s to the best rung.
    assert planned(config, record)["replicate"] == 3 + 16
    record.apply(events.started("r1", purpose="replicate"))
    record.apply(events.started("c1", purpose="confirm"))
    assert planned(config, record)["replicate"] == 1


def test_no_more_replicates_are_expected_than_methods_have_further_seeds(
    config: RunConfig, events: SimpleNamespace
) -> None:
    config = config.model_copy(update={"replication": ReplicationConfig(seeds=3, effort=0.5)})
    cheap = [
        events.started("t1"),
        events.reached("t1", 1 / 9, 0.5, setup_s=0.0, train_s=0.001, eval_s=0.0),
        events.reached("t1", 1.0, 0.4, train_s=50.0),
    ]
    assert planned(config, Record.of(cheap))["replicate"] == 3 + 8 * 2


def test_what_the_search_may_train_bounds_what_replicates_may(
    config: RunConfig, events: SimpleNamespace
) -> None:
    search = config.search.model_copy(update={"max_hours": 20 / 3600})
    replication = ReplicationConfig(seeds=3, effort=2.0)
    config = config.model_copy(update={"search": search, "replication": replication})
    record = Record.of([events.started("t1"), events.reached("t1", 1.0, 0.5), events.ended("t1")])
    assert (
        planned(config, record)["replicate"] == 13
    )  # 20 s of search, 40 s of further seeds, 4 s each; naive


def test_a_search_that_is_over_has_as_many_trials_as_it_had(
    config: RunConfig, events: SimpleNamespace
) -> None:
    record = Record.of([events.started("t1"), events.reached("t1", 1.0, 0.5), events.ended("t1")])
    assert planned(config, record)["search"] == 8
    record.apply(Steered(finish=True))
    assert planned(config, record) == {"search": 1, "replicate": 0, "confirm": 9, "hidden": 0}


def test_a_hidden_task_counts_the_finalists_that_can_run_there(
    config: RunConfig, events: SimpleNamespace
) -> None:
    there = HiddenTask(name="there", task=ToyTask(seed=3))
    pairs = DatasetTask(path="pairs.jsonl", fields=PairFields(), splits=config.task.splits)
    config = config.model_copy(update={"task": pairs, "hidden": (there,)})
    of_pairs = Method(loss=Gce(), inputs=PlainInputs(answer="averaged"))
    assert of_pairs.refused(config.on(there).abilities) is not None
    record = Record()
    for name, method, pgr in (("t1", of_pairs, 0.9), ("t2", Method(), 0.5)):
        for event in (events.started(name, method=method), events.reached(name, 1.0, pgr)):
            record.apply(event)
    assert planned(config, record)["hidden"] == 9
    record.apply(events.started("c1", purpose="confirm"))
    assert planned(config, record)["hidden"] == 6  # naive and one of two finalists on three seeds


def test_a_model_that_the_search_has_too_is_not_asked_for_it(
    config: RunConfig, events: SimpleNamespace, tmp_path: Path
) -> None:
    elsewhere = config.strong.model_copy(update={"model": HubModel(path=str(tmp_path / "no"), max_length=8)})
    config = config.model_copy(
        update={"strong": elsewhere, "hidden": (HiddenTask(name="there", task=ToyTask(seed=3)),)}
    )
    with pytest.raises(ValueError, match=str(tmp_path)):
        config.abilities  # noqa: B018  # asks the model, which takes transformers
    record = Record.of([events.started("t1"), events.reached("t1", 1.0, 0.5)])
    record.apply(events.started("c1", purpose="confirm"))
    assert planned(config, record)["hidden"] == 6
    assert hidden_is_exact(config, record)


def test_finalists_count_on_another_model_until_the_run_has_written_how_many_can_run_there(
    config: RunConfig, events: SimpleNamespace, tmp_path: Path
) -> None:
    unreadable = config.strong.model_copy(update={"model": HubModel(path=str(tmp_path / "no"), max_length=8)})
    there = HiddenTask(name="there", task=ToyTask(seed=3), strong=unreadable)
    config = config.model_copy(update={"hidden": (there, HiddenTask(name="known", task=ToyTask(seed=4)))})
    record = Record.of([events.started("t1"), events.reached("t1", 1.0, 0.5)])
    record.apply(events.started("c1", purpose="confirm"))
    found = planned(config, record)["hidden"], hidden_is_exact(config, record)
    assert found == (6 + 6, False)  # naive and the finalist on three seeds, though it may not run there
    record.apply(HiddenRead(task="there", train_s=1.0, trials=3))
    assert (planned(config, record)["hidden"], hidden_is_exact(config, record)) == (3 + 6, True)
