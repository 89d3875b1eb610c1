from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pydantic import JsonValue

from agents.language.proposal import Branch
from search.config.load import changed
from search.config.schema import RunConfig
from search.ledger.events import Finished, HiddenRead
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.steering.check import steered
from search.steering.order import Order


def test_all_that_can_be_asked_at_once(
    config: RunConfig, record: Record, branch: Callable[..., Branch]
) -> None:
    order = Order(trials=20, hours=0.5, stop=("one", "one"), add=(branch("mine"),), finish=True)
    taken = steered(order, config, record, identity="a")
    settings: dict[str, JsonValue] = {"search.trials": 20, "search.max_hours": 0.5}
    expected = Steered(
        at=taken.at,
        order="a",
        settings=settings,
        config_sha256=changed(config, settings).sha256,
        stop=("one",),
        add=(branch("mine"),),
        finish=True,
    )
    assert taken == expected


def test_what_is_so_already_changes_nothing(config: RunConfig, record: Record) -> None:
    record.apply(Steered(stop=("one",)))
    taken = steered(Order(trials=config.search.trials, stop=("one",)), config, record)
    assert taken == Steered(at=taken.at)


def test_a_bad_part_does_not_keep_the_others(config: RunConfig, record: Record) -> None:
    taken = steered(Order(trials=0, hours=2.0, stop=("too", "one")), config, record)
    assert taken.settings == {"search.max_hours": 2.0}
    assert taken.stop == ("one",)
    first, second = taken.refused
    assert first.startswith("search.trials: Input should be greater than or equal to 1, got 0")
    assert second == "stop: there is no branch too; did you mean two?"


def test_a_branch_is_checked_as_a_proposals_are(
    config: RunConfig, record: Record, branch: Callable[..., Branch]
) -> None:
    taken = steered(Order(add=(branch("one"), branch("mine"))), config, record)
    assert [added.name for added in taken.add] == ["mine"]
    [refused] = taken.refused
    assert refused.startswith("add: branches[0].name")


def test_a_run_of_named_methods_says_that_it_has_no_search(
    config: RunConfig, record: Record, branch: Callable[..., Branch]
) -> None:
    named = changed(config, {"methods": ["smoothed-labels"]})
    taken = steered(Order(trials=20, hours=1.0, add=(branch("mine"),), stop=("one",)), named, record)
    places = [reason.partition(":")[0] for reason in taken.refused]
    assert places == ["search.trials", "search.max_hours", "add"]
    assert all("trains the methods of its config" in reason for reason in taken.refused)
    assert taken.settings == {}
    assert taken.stop == ("one",)


def test_a_branch_needs_trials(config: RunConfig, record: Record, branch: Callable[..., Branch]) -> None:
    few = changed(config, {"search.trials": 1})
    order = Order(add=(branch("mine"),))
    assert steered(order, few, record).refused == (
        "add: no trial is left for another branch; raise trials too",
    )
    assert steered(order.then(Order(trials=2)), few, record).add == order.add


def test_nothing_is_confirmed_before_there_is_a_score(
    config: RunConfig, record: Record, events: SimpleNamespace
) -> None:
    assert not steered(Order(finish=True), config, Record()).finish
    record.apply(events.started("c1", purpose="confirm", branch=""))
    taken = steered(Order(finish=True), config, record)
    said = (
        "finish: the search has ended and its confirmation has begun: wait for the outcome, or let the "
        "search go on with --trials"
    )
    assert (taken.finish, taken.refused) == (False, (said,))


def test_a_search_that_goes_on_after_a_confirmation_can_be_finished(
    config: RunConfig, record: Record, events: SimpleNamespace
) -> None:
    for event in (
        events.started("c1", purpose="confirm", branch=""),
        events.ended("c1"),
        Finished(),
        Steered(by="resume", settings={"search.trials": 20}),
        events.started("t2"),
    ):
        record.apply(event)
    taken = steered(Order(finish=True), config, record)
    assert (taken.finish, taken.refused) == (True, ())
    record.apply(taken)
    record.apply(events.started("c2", purpose="confirm", branch=""))
    assert not steered(Order(finish=True), config, record).finish


def test_to_pause_and_to_finish_contradict_each_other(config: RunConfig, record: Record) -> None:
    assert not steered(Order(finish=True, pause=True), config, record).finish


@pytest.mark.parametrize("order", [Order(trials=20), Order(finish=True), Order(pause=True)])
def test_a_finished_run_is_extended_otherwise(config: RunConfig, record: Record, order: Order) -> None:
    record.apply(Finished())
    taken = steered(order, config, record)
    assert taken == Steered(at=taken.at, refused=("the run has finished; extend it with resume --set",))


def test_a_finished_run_that_read_hidden_tasks_is_not_said_to_be_extended(
    config: RunConfig, record: Record
) -> None:
    for event in (HiddenRead(task="there", train_s=1.0), Finished()):
        record.apply(event)
    [refused] = steered(Order(trials=20), config, record).refused
    assert refused == "the run has finished; it has read hidden tasks, so start a new one"


def test_once_hidden_tasks_were_read_a_run_may_only_pause(config: RunConfig, record: Record) -> None:
    record.apply(HiddenRead(task="elsewhere", train_s=1.0, data=None))
    assert steered(Order(pause=True), config, record).paused
    for order in (Order(trials=20), Order(finish=True), Order(stop=("one",), pause=True)):
        taken = steered(order, config, record)
        assert taken == Steered(at=taken.at, refused=taken.refused)
        assert "hidden tasks have been read" in taken.refused[0]
