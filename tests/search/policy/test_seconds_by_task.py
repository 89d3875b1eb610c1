import numpy as np
import pytest

from search.policy.seconds_by_task import SecondsByTask
from search.policy.training_seconds import COSTS, Step, TrainingSeconds
from trainers.components.optim import Adamw
from trainers.method import Method


def prices() -> SecondsByTask:
    def longer(method: Method) -> Method:
        return method.model_copy(update={"optim": Adamw(epochs=2 * method.optim.epochs)})

    tasks = [TrainingSeconds(transfer=400, evaluated=100), TrainingSeconds(transfer=400, evaluated=100)]
    return SecondsByTask(tasks, [lambda method: method, longer])


def whole(task: int) -> Step:
    return Step(method=Method(), start=0, end=1, task=task)


def test_a_step_has_costs_of_its_own_task_alone() -> None:
    found = prices()
    assert len(found.costs) == 2 * len(COSTS)
    first, second = found.amounts(whole(0)), found.amounts(whole(1))
    assert not first[len(COSTS) :].any()
    assert not second[: len(COSTS)].any()


def test_a_method_takes_what_it_takes_as_it_is_on_each_task() -> None:
    first, second = prices().predict([whole(0), whole(1)])
    assert second == pytest.approx(2 * first, rel=0.1)  # twice the epochs, and the same predictions


def test_each_task_learns_from_its_own_steps_and_an_unseen_one_from_the_others() -> None:
    found = prices()
    for _ in range(5):
        found.observe(whole(0), 3.0)
    first, second = found.predict([whole(0), whole(1)])
    assert first == pytest.approx(3.0, rel=0.05)
    assert second == pytest.approx(6.0, rel=0.2)
    for _ in range(5):
        found.observe(whole(1), 30.0)
    assert found.predict([whole(0), whole(1)]) == pytest.approx([3.0, 30.0], rel=0.05)
    assert np.all(found.costs >= 0)
