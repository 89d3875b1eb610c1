import numpy as np
import pytest

from search.policy.ladder import Ladders, Places
from search.policy.seconds_by_task import SecondsByTask
from search.policy.training_seconds import Step, TrainingSeconds
from trainers.components.optim import Adamw
from trainers.method import Method

THIRDS = (1 / 9, 1 / 3, 1.0)
SECONDS = TrainingSeconds(transfer=3200, evaluated=100)
LADDERS = Ladders(SECONDS, Places(THIRDS, ("",)), examples=[3200], min_steps=8)


def test_the_seconds_to_each_rung_are_those_of_the_steps_on_the_way() -> None:
    ladder, method = LADDERS.of(Method()), Method()
    first, second, third = SECONDS.predict(
        [Step(method=method, start=a, end=b) for a, b in ((0, 1 / 9), (1 / 9, 1 / 3), (1 / 3, 1))]
    )
    assert ladder.seconds(SECONDS.costs, 3) == pytest.approx([first, first + second, first + second + third])
    after = ladder.seconds(SECONDS.costs, 3, after=0)
    assert after[0] == np.inf
    assert after[1:] == pytest.approx([second, second + third])


def test_a_rung_that_says_nothing_is_left_out() -> None:
    ladder = LADDERS.of(Method(optim=Adamw(warmup=0.2)))
    assert ladder.places == (1, 2)
    assert (ladder.after(-1), ladder.after(1)) == (1, 2)
    assert np.isinf(ladder.seconds(SECONDS.costs, 3)).tolist() == [True, False, False]


def test_a_ladder_is_made_once() -> None:
    assert LADDERS.of(Method()) is LADDERS.of(Method())


TASKS = ("reviews", "quarrels", "verdicts")
PLACES = Places(THIRDS, TASKS)
BY_TASK = SecondsByTask(
    [TrainingSeconds(transfer=n, evaluated=100) for n in (3200, 1600, 800)], [lambda m: m] * 3
)
SEVERAL = Ladders(BY_TASK, PLACES, examples=[3200, 1600, 800], min_steps=1)


def test_a_place_is_a_rung_on_a_task_in_the_order_of_the_trial() -> None:
    assert PLACES.of(1 / 9, "quarrels", first="quarrels") == 0
    assert PLACES.of(1 / 9, "reviews", first="quarrels") == 2
    assert PLACES.of(1.0, "verdicts", first="quarrels") == 7
    for first in TASKS:
        for place in range(9):
            assert PLACES.of(*PLACES.at(place, first), first=first) == place


def test_with_several_tasks_a_rung_costs_what_it_takes_on_all_of_them() -> None:
    ladder = SEVERAL.of(Method(), first="quarrels")
    assert ladder.places == tuple(range(9))
    steps = [
        Step(method=Method(), start=a, end=b, task=task)
        for a, b in ((0, 1 / 9), (1 / 9, 1 / 3), (1 / 3, 1))
        for task in (1, 2, 0)
    ]
    took = BY_TASK.predict(steps)
    assert ladder.seconds(BY_TASK.costs, 3) == pytest.approx(np.cumsum(took)[[2, 5, 8]])
    after = ladder.seconds(BY_TASK.costs, 3, after=3)
    assert after[0] == np.inf
    assert after[1:] == pytest.approx([took[4:6].sum(), took[4:].sum()])
    assert ladder.next_s(BY_TASK.costs, 3) == pytest.approx(took[4])
    assert ladder.next_s(BY_TASK.costs, -1) == pytest.approx(took[0])


def test_a_rung_that_says_nothing_on_one_of_the_tasks_is_left_out_on_all() -> None:
    strict = Ladders(BY_TASK, PLACES, examples=[3200, 1600, 500], min_steps=8)
    assert strict.of(Method(optim=Adamw(epochs=3)), "verdicts").places == (3, 4, 5, 6, 7, 8)
