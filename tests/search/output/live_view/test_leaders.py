from types import SimpleNamespace

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
    searching.apply(Steered(stop=("one",)))
    assert [branch.why for branch in let_go(searching)] == ["pruned", "stopped"]
