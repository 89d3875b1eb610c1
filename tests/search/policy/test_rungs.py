from typing import Any

import pytest

from search.policy.rungs import merged_rungs, rungs_of, steps_of_a_training
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders, PlainInputs
from trainers.components.selection import All, Confidence, Curriculum, Disagreement, SmallLoss
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.components.students import Probe
from trainers.method import Method

THIRDS = (1 / 9, 1 / 3, 1.0)


def judged(method: Method, *, examples: int = 3200, min_steps: int = 8) -> list[int]:
    return list(rungs_of(method, THIRDS, examples=examples, min_steps=min_steps))


def test_a_long_training_is_judged_at_every_rung() -> None:
    assert judged(Method()) == [0, 1, 2]


def test_no_rung_lies_inside_the_warm_up() -> None:
    assert judged(Method(optim=Adamw(warmup=1 / 9))) == [1, 2]
    assert judged(Method(optim=Adamw(warmup=0.5))) == [2]
    # A method that stops after a third of its schedule reaches a tenth of it at a third of its own training.
    assert judged(Method(optim=Adamw(stop=1 / 3, warmup=0.1))) == [1, 2]


def test_a_rung_needs_a_few_optimizer_steps() -> None:
    # 320 examples are 10 steps an epoch, 30 in all: 4 at the first rung, 10 at the second.
    assert steps_of_a_training(Method(), 320) == 30
    assert judged(Method(), examples=320) == [1, 2]
    assert judged(Method(), examples=320, min_steps=4) == [0, 1, 2]
    assert judged(Method(), examples=32) == [2]  # whatever the training, its end is judged


@pytest.mark.parametrize(
    ("slots", "rungs"),
    [
        ({}, [0, 1, 2]),
        ({"stages": SelfTrain(rounds=2)}, [0, 1, 2]),  # a third: at the end of the first of three trainings
        ({"stages": Chain()}, [2]),  # its strong student trains in the second half
        ({"stages": Chain(), "relabel": Posterior(rounds=2)}, [1, 2]),  # in the second of four
        ({"members": Ensemble(count=4)}, [0, 1, 2]),
        ({"members": Ensemble(count=3)}, [0, 1, 2]),
        ({"relabel": OutOfFold(folds=2)}, [0, 1, 2]),  # a third: at 1/3 of the second half's
        ({"refine": Evolve(), "student": Probe()}, [0, 1, 2]),
    ],
)
def test_rungs_of_several_trainings(slots: dict[str, Any], rungs: list[int]) -> None:
    assert judged(Method(**slots)) == rungs


def test_an_evolution_has_no_warm_up() -> None:
    method = Method(student=Probe(), refine=Evolve())
    assert rungs_of(method, (0.51, 1.0), examples=3200, min_steps=8) == (0, 1)
    again = Method(stages=SelfTrain())
    assert rungs_of(again, (0.51, 1.0), examples=3200, min_steps=8) == (1,)


def test_a_fold_has_fewer_steps() -> None:
    halves = Method(relabel=OutOfFold(folds=2))
    assert [steps_of_a_training(halves, 320, stage) for stage in halves.sequence()] == [15, 15, 30]
    own = Method(stages=SelfTrain(targets="confident", share=0.25), select=Confidence(share=0.5))
    assert [steps_of_a_training(own, 640, stage) for stage in own.sequence()] == [30, 15]


def test_a_warm_up_of_a_later_training_counts_too() -> None:
    # At 1/3 of five, two thirds of the second are done; at 0.35 of three, a twentieth of the second.
    five, three = Method(members=Ensemble(count=5)), Method(members=Ensemble(count=3))
    assert rungs_of(five, (1 / 3, 1.0), examples=3200, min_steps=8) == (0, 1)
    assert rungs_of(three, (0.35, 1.0), examples=3200, min_steps=8) == (1,)


def test_pairs_in_both_orders_are_two_examples_each() -> None:
    assert steps_of_a_training(Method(inputs=BothOrders()), 320) == 60
    assert steps_of_a_training(Method(inputs=PlainInputs(answer="averaged")), 320) == 30
    # 17 kept pairs are 34 examples, two steps an epoch.
    half = Method(inputs=BothOrders(), select=Confidence(share=0.5))
    assert steps_of_a_training(half, 34) == 6


@pytest.mark.parametrize(
    ("select", "steps"),
    [
        (All(), 30),
        (Confidence(share=0.5), 15),
        (Disagreement(share=0.2), 24),
        (SmallLoss(share=0.5), 30),  # drops examples of a batch, not batches
        (Curriculum(share=0.5), 30),
    ],
)
def test_steps_follow_the_examples_that_are_kept(
    select: All | Confidence | Disagreement | SmallLoss | Curriculum, steps: int
) -> None:
    assert steps_of_a_training(Method(select=select), 320) == steps


def test_merged_rungs_are_said_in_a_sentence_with_the_remedy() -> None:
    rungs = (1 / 9, 1 / 3, 1.0)
    assert merged_rungs(Method(), rungs, examples=3200, min_steps=8) is None  # 100 steps an epoch
    said = merged_rungs(Method(), rungs, examples=320, min_steps=8)
    assert said is not None
    for part in ("search.pruning.rungs: 0.111 of a training", "judged at 0.333, 1:", "320 examples", "(8)"):
        assert part in said
