import math

import pytest

from search.policy.ladder import Ladders, Places
from search.policy.training_budget import Budget
from search.policy.training_seconds import Step, TrainingSeconds
from trainers.components.students import Probe
from trainers.method import Method

THIRDS = (1 / 9, 1 / 3, 1.0)
SECONDS = TrainingSeconds(transfer=320, evaluated=100)
LADDERS = Ladders(SECONDS, Places(THIRDS, ("",)), examples=[320], min_steps=1)
FIRST, SECOND, WHOLE = (float(row @ SECONDS.costs) for row in LADDERS.of(Method()).amounts)


def budget(*, trials: int = 9, effort: float = 0.4, max_s: float | None = None) -> Budget:
    return Budget(SECONDS, trials=trials, effort=effort, max_s=max_s)


NAIVE = Method()


def started(spent: Budget, *names: str, method: Method = NAIVE) -> None:
    """Trials that have been trained to their first rung, just as predicted."""
    for name in names:
        spent.start(LADDERS.of(method))
        spent.give(name, Step(method=method, start=0, end=1 / 9))
        spent.end(name, float(LADDERS.of(method).amounts[0] @ SECONDS.costs))


def test_a_trial_on_its_way_counts_as_there() -> None:
    spent = budget()
    spent.start(LADDERS.of(Method()))
    spent.give("t1", Step(method=Method(), start=0, end=1 / 9))
    assert (spent.started, spent.new_left, spent.spent_s) == (1, 8, pytest.approx(FIRST))
    spent.end("t1", 12.5)  # what it took counts from now on
    assert spent.spent_s == 12.5


def test_what_a_failed_step_took_is_unknown_and_counts_as_predicted() -> None:
    spent = budget()
    spent.start(LADDERS.of(Method()))
    spent.give("t1", Step(method=Method(), start=0, end=1 / 9))
    spent.end("t1", None)
    assert spent.spent_s == pytest.approx(FIRST)


def test_the_budget_is_a_share_of_what_training_every_trial_to_its_end_would_take() -> None:
    spent = budget()
    assert spent.total_s == 0  # nothing is known yet
    started(spent, "t1")
    assert spent.total_s == pytest.approx(0.4 * 9 * WHOLE)
    started(spent, "t2", method=Method(student=Probe()))
    probe = float(LADDERS.of(Method(student=Probe())).amounts[-1] @ SECONDS.costs)
    assert spent.total_s == pytest.approx(0.4 * 9 * (WHOLE + probe) / 2)
    assert probe < WHOLE / 2


def test_hours_take_the_place_of_effort() -> None:
    spent = budget(max_s=3 * FIRST)
    started(spent, "t1", "t2")
    assert spent.total_s == 3 * FIRST
    assert spent.affordable([FIRST, 1.01 * FIRST], more_to_come=False) == [True, False]


def test_what_all_trials_share_counts_towards_hours_alone() -> None:
    share, hours = budget(), budget(max_s=9 * FIRST)
    for spent in (share, hours):
        spent.start(LADDERS.of(NAIVE))
        spent.give("t1", Step(method=NAIVE, start=0, end=1 / 9))
        spent.end("t1", FIRST, shared_s=2 * FIRST)
    assert share.spent_s == FIRST
    assert hours.spent_s == 3 * FIRST


def test_a_new_trial_may_take_half_of_the_seconds_that_are_left() -> None:
    assert budget().longest_start_s == math.inf
    spent = budget(max_s=9 * FIRST)
    assert spent.longest_start_s == math.inf  # one is tried, whatever it takes
    started(spent, "t1")
    assert spent.longest_start_s == pytest.approx(4 * FIRST)
    spent.give("t2", Step(method=Method(), start=0, end=1 / 9))  # on its way
    assert spent.longest_start_s == pytest.approx(3.5 * FIRST)


def test_what_new_trials_need_is_set_aside() -> None:
    some = budget()
    started(some, "t1", "t2")
    left = 0.4 * 9 * WHOLE - 9 * FIRST  # two first steps trained, seven set aside
    assert some.affordable([left, left * 1.01], more_to_come=True) == [True, False]
    assert some.affordable([left + 7 * FIRST], more_to_come=False) == [True]  # they are free again


def test_a_budget_that_just_suffices_does() -> None:
    just = budget(effort=1.0)
    started(just, *(f"t{n}" for n in range(9)))
    for n in range(9):
        assert just.affordable([WHOLE - FIRST], more_to_come=False) == [True]
        just.give(f"t{n}", Step(method=Method(), start=1 / 9, end=1))
        just.end(f"t{n}", WHOLE - FIRST)
    assert just.affordable([FIRST], more_to_come=False) == [False]


def test_nothing_waits_nothing_is_affordable() -> None:
    assert budget().affordable([], more_to_come=False) == []


def test_no_trial_starts_once_the_seconds_are_used_up() -> None:
    spent = budget(trials=1000, max_s=3.5 * FIRST)
    started(spent, "t1", "t2")
    assert spent.new_left == 998
    started(spent, "t3")
    assert spent.new_left == 0  # half of a first step is left


def test_of_given_seconds_half_may_go_to_trials_that_go_on() -> None:
    spent = budget(trials=1000, max_s=FIRST + 2 * WHOLE)
    started(spent, "t1")
    assert spent.affordable([0.9 * WHOLE, 1.1 * WHOLE], more_to_come=True) == [True, False]
