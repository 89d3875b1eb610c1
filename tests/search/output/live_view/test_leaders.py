from collections.abc import Callable
from types import SimpleNamespace

import pytest

from search.config.schema import RunConfig
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view.leaders import leaders, let_go
from trainers.components.losses import Gce
from trainers.method import Method


def test_the_best_methods_come_first_with_their_bounds(
    config: RunConfig, searching: Record, events: SimpleNamespace
) -> None:
    method = Method(loss=Gce())
    searching.apply(events.started("t5", method=method))
    searching.apply(events.reached("t5", 1 / 3, 0.6))
    first, second = leaders(config, searching)
    assert (first.trial, first.branch, first.pgr, first.seeds, first.stop) == ("t5", "one", 0.6, 1, 1 / 3)
    assert second.trial == "t1"  # and not the second of its kind
    assert first.pgr > first.lower > second.lower
    assert leaders(config, searching, count=1) == [first]
    assert first.on_tasks == {}


def test_of_several_tasks_a_leader_has_its_mean_on_each_over_its_seeds(
    on_tasks: Callable[..., RunConfig], searching: Record, events: SimpleNamespace
) -> None:
    config = on_tasks("a", "b")
    twice = config.replication.model_copy(update={"seeds": 2})
    config = config.model_copy(update={"replication": twice})
    method = Method(loss=Gce())
    searching.apply(events.started("t5", method=method))
    for event in events.reached_on("t5", {"a": 0.9, "b": 0.5}, 1 / 3):
        searching.apply(event)
    for event in events.reached_on("t5", {"a": 0.3, "b": 0.3}, 1.0):  # it is best where it stopped before
        searching.apply(event)
    best, *_ = leaders(config, searching)
    assert (best.trial, best.stop, best.on_tasks) == ("t5", 1 / 3, {"a": 0.9, "b": 0.5})
    [seed] = config.replication_seeds()
    again = events.started("r1", purpose="replicate", method=method.stopped_at(1 / 3), seed=seed)
    for event in (again, *events.reached_on("r1", {"a": 0.7, "b": 0.1})):
        searching.apply(event)
    best, *_ = leaders(config, searching)
    assert best.seeds == 2
    assert best.on_tasks == pytest.approx({"a": 0.8, "b": 0.3})


def test_without_a_score_nobody_leads(config: RunConfig) -> None:
    assert leaders(config, Record()) == []


def test_a_branch_is_let_go_when_none_of_its_trials_goes_on(
    searching: Record, events: SimpleNamespace
) -> None:
    assert list(let_go(searching)) == []  # one has a trial that completed, two one that runs
    searching.apply(events.reached("t4", 1 / 3, -0.2))
    searching.apply(events.ended("t4", "pruned"))
    [two] = let_go(searching)
    assert (two.branch, two.trials, two.why, two.best, two.at) == ("two", 2, "pruned", -0.2, 1 / 3)
    searching.apply(events.started("r1", purpose="replicate", branch=""))
    assert [branch.branch for branch in let_go(searching)] == ["two"]  # after the search too
    searching.apply(Steered(stop=("one",)))
    assert [branch.why for branch in let_go(searching)] == ["pruned", "stopped"]
