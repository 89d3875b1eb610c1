from collections.abc import Callable
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch
from search.ledger.events import AnyEvent, Finished, Interrupted, Proposed, Resumed, TrialPaused
from search.tracking.ledger_view import LedgerView


def summed(*events: AnyEvent) -> LedgerView:
    view = LedgerView()
    for event in events:
        view.apply(event)
    return view


def test_a_trial_is_the_sum_of_its_events(events: SimpleNamespace) -> None:
    started, end = events.started("t1"), events.ended("t1", "pruned", "behind")
    first, second = (events.reached("t1", share, pgr) for share, pgr in ((1 / 3, 0.2), (1.0, 0.4)))
    trial = summed(started).trials["t1"]
    assert (trial.last, trial.ended, trial.train_s) == (None, None, 0)
    trial = summed(started, first, second, end).trials["t1"]
    assert (trial.started, trial.last, trial.ended) == (started, second, end)
    assert trial.rungs == [first, second]
    assert trial.train_s == pytest.approx(2 * (3.0 + 1.0))  # training and evaluation, not the set-up


def test_a_trial_that_goes_on_after_a_pause_or_a_restart_keeps_its_rungs(events: SimpleNamespace) -> None:
    """The ledger never repeats a rung: a trial whose state was lost is not graded there again."""
    first, last = events.reached("t1", 1 / 3), events.reached("t1", 1.0)
    started = events.started("t1")
    paused = TrialPaused(trial="t1")
    view = summed(started, first, paused, events.started("t1"), Interrupted(), Resumed())
    assert view.trials["t1"].rungs == [first]
    view.apply(events.started("t1"))
    view.apply(last)
    assert (view.trials["t1"].started, view.trials["t1"].rungs) == (started, [first, last])


def test_trials_stand_in_the_order_of_their_starts_and_of_their_ends(events: SimpleNamespace) -> None:
    begun = [events.started(name) for name in ("t1", "t2", "t3")]
    view = summed(*begun, events.ended("t3"), events.ended("t1"))
    assert list(view.trials) == ["t1", "t2", "t3"]
    assert [trial.started.trial for trial in view.ended] == ["t3", "t1"]


def test_rounds_baselines_and_the_end_are_noted(
    events: SimpleNamespace, branch: Callable[..., Branch], proposal: Callable[..., object]
) -> None:
    baselines = events.baselines()
    view = summed(
        events.run_started(),
        baselines,
        Proposed(round=1, proposal=proposal(branch("one")), seconds=1),
        Proposed(round=2, proposal=proposal(branch("two"), branch("three")), seconds=1),
    )
    assert (view.baselines, view.rounds, view.finished) == (baselines, 2, False)
    assert {name: (round, found.name) for name, (round, found) in view.branches.items()} == {
        "one": (1, "one"),
        "two": (2, "two"),
        "three": (2, "three"),
    }
    view.apply(Finished())
    assert view.finished


def test_a_method_comes_from_the_branch_that_searched_it(
    events: SimpleNamespace, branch: Callable[..., Branch], proposal: Callable[..., object]
) -> None:
    confirming = {"purpose": "confirm", "branch": "", "number": None}
    view = summed(
        Proposed(round=4, proposal=proposal(branch("one")), seconds=1),
        events.started("c0", lr=5e-3, **confirming),
        events.started("t1", lr=2e-3),
        events.started("c1", lr=2e-3, **confirming),
    )
    origins = {name: view.origin(trial) for name, trial in view.trials.items()}
    assert origins == {"c0": None, "t1": (4, branch("one")), "c1": (4, branch("one"))}
