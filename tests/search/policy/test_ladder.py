import numpy as np
import pytest

from search.policy.ladder import Ladders
from search.policy.training_seconds import Step, TrainingSeconds
from trainers.components.optim import Adamw
from trainers.method import Method

THIRDS = (1 / 9, 1 / 3, 1.0)
SECONDS = TrainingSeconds(transfer=3200, evaluated=100)
LADDERS = Ladders(SECONDS, THIRDS, examples=3200, min_steps=8)


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
