from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search.policy.training_seconds import COLUMN, COSTS, EVOLVE, PRIOR, Step, TrainingSeconds
from trainers.components.formulas.labels import LabelFormula
from trainers.components.formulas.weights import WeightFormula
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders, InputOrders, PlainInputs
from trainers.components.repairs import (
    CrossFit,
    EmHead,
    MeanDifference,
    Neighbours,
    NoisyChannel,
    NoRepair,
    Propagate,
)
from trainers.components.selection import All, Confidence
from trainers.components.stages import Chain, Once, SelfTrain
from trainers.components.staging.members import Ensemble, Single
from trainers.components.staging.refine import Evolve, NoRefine
from trainers.components.staging.relabel import NoRelabel, OutOfFold, Posterior
from trainers.components.students import Full, Lora, Probe
from trainers.method import Method

TRUE = {
    "full": (0.004, 0.006, 0.0015, 0.05),
    "lora": (0.003, 0.008, 0.0017, 0.08),
    "probe": (1e-5, 0.0008, 2e-6, 0.03),
}
RUNGS = (0.0, 1 / 9, 1 / 3, 1.0)
Pick = Callable[[], Method]


def true_seconds(amounts: np.ndarray) -> float:
    costs = np.zeros(len(COSTS))
    for student, own in TRUE.items():
        first = COLUMN[student, 0]
        costs[first : first + 4] = own
    costs[COLUMN["repair", "neighbours"]] = 0.4 / 400  # of each example
    costs[COLUMN[EVOLVE, "probe"]] = 0.001
    costs[COLUMN[EVOLVE, "lora"]] = 0.02
    return float(amounts @ costs)


def random_method(rng: np.random.Generator) -> Method:
    students = (Full(), Lora(), Probe())
    student = students[rng.integers(3)]
    evolve = (
        Evolve(pairs=int(rng.integers(1, 9))) if rng.integers(2) and student.kind != "full" else NoRefine()
    )
    return Method(
        repair=(NoRepair(), Neighbours())[rng.integers(2)],
        select=(All(), Confidence(share=float(rng.uniform(0.2, 0.9))))[rng.integers(2)],
        student=student,
        relabel=(NoRelabel(), Posterior(rounds=1), OutOfFold())[rng.integers(3)],
        stages=(Once(), SelfTrain())[rng.integers(2)],
        refine=evolve,
        members=(Single(), Ensemble(count=int(rng.integers(2, 9))))[rng.integers(2)],
        optim=Adamw(epochs=float(np.exp(rng.uniform(0, 2.5))), batch_size=int(rng.choice([8, 16, 32, 64]))),
    )


def test_after_thirty_steps_it_predicts_about_as_well_as_the_noise_allows() -> None:
    rng = np.random.default_rng(0)
    seconds = TrainingSeconds(transfer=400, evaluated=400)
    errors = []
    for _ in range(300):
        rung = rng.integers(3)
        step = Step(method=random_method(rng), start=RUNGS[rung], end=RUNGS[rung + 1])
        took = true_seconds(seconds.amounts(step)) * np.exp(rng.normal(0, 0.15))
        errors.append(abs(np.log(seconds.predict([step])[0] / took)))
        seconds.observe(step, took)
    # With true costs the median of |error| is 0.10 and its ninth decile 0.25.
    assert np.median(errors[30:]) < 0.15
    assert np.quantile(errors[30:], 0.9) < 0.35


def test_before_the_first_step_a_probe_is_known_to_be_cheap_and_members_to_add_up() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=400)

    def whole(method: Method) -> float:
        return float(seconds.predict([Step(method=method, start=0, end=1)])[0])

    assert whole(Method(student=Probe())) < whole(Method(student=Lora())) < whole(Method())
    assert 6 < whole(Method(members=Ensemble(count=8))) / whole(Method()) < 8
    assert whole(Method(optim=Adamw(stop=0.5))) < whole(Method())


def test_a_single_step_sets_the_unit_for_all() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=400)
    probe, full = (
        Step(method=method, start=0, end=1) for method in (Method(student=Probe()), Method(student=Full()))
    )
    before = seconds.predict([probe, full])
    seconds.observe(full, 3.0)
    probe_s, full_s = seconds.predict([probe, full])
    assert full_s == pytest.approx(3.0, rel=0.05)
    assert probe_s / full_s == pytest.approx(before[0] / before[1], rel=0.3)


def test_one_slow_step_among_many_changes_little() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=400)
    step = Step(method=Method(student=Probe()), start=0, end=1)
    for took in (20.0, *[0.3] * 10):  # the machine was busy
        seconds.observe(step, took)
    assert seconds.predict([step])[0] == pytest.approx(0.3, rel=0.15)


def test_features_that_all_share_tell_what_a_pass_takes_and_nothing_of_a_probe() -> None:
    """A pass over an example takes 10 ms: a LoRA student is priced before one has been trained."""
    probe, lora = (Step(method=Method(student=kind), start=0, end=1) for kind in (Probe(), Lora()))
    alone, knowing = (TrainingSeconds(transfer=400, evaluated=400) for _ in range(2))
    alone.observe(probe, 0.05)
    knowing.observe(probe, 0.05, shared_s=8.0)
    assert knowing.predict([probe])[0] == pytest.approx(0.05, rel=0.05)
    examples = float(knowing.amounts(lora)[COLUMN["lora", 0]])
    assert knowing.predict([lora])[0] == pytest.approx(0.01 * (2.3 * examples + 400), rel=0.1)
    assert alone.predict([lora])[0] < knowing.predict([lora])[0] / 3
    knowing.observe(probe, 0.05, shared_s=0.1)  # read from a file, not computed
    assert knowing.predict([lora])[0] > alone.predict([lora])[0] * 3


def test_what_a_step_takes_is_known_for_the_next_one_at_once() -> None:
    """Hundreds of probes first; then two fine-tunings, of which the first is a surprise."""
    seconds = TrainingSeconds(transfer=400, evaluated=400)
    probe, lora = (Step(method=Method(student=kind), start=0, end=1) for kind in (Probe(), Lora()))
    for _ in range(300):
        seconds.observe(probe, 0.02)
    assert seconds.predict([lora])[0] < 10
    seconds.observe(lora, 40.0)
    assert seconds.predict([lora])[0] == pytest.approx(40, rel=0.1)
    assert seconds.predict([probe])[0] == pytest.approx(0.02, rel=0.1)


def test_predictions_are_means_of_what_is_noisy() -> None:
    rng = np.random.default_rng(0)
    seconds = TrainingSeconds(transfer=400, evaluated=400)
    step = Step(method=Method(student=Probe()), start=0, end=1)
    took = np.exp(rng.normal(0, 0.6, size=400))
    for one in took:
        seconds.observe(step, float(one))
    # By errors relative to what steps took it would be exp(-3/2 · .6²), half of the mean.
    assert seconds.predict([step])[0] == pytest.approx(took.mean(), rel=0.1)


def test_a_model_that_teaches_the_next_labels_the_transfer_split() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=100)

    def predicted(method: Method, start: float, end: float) -> float:
        return float(seconds.amounts(Step(method=method, start=start, end=end))[COLUMN["full", 2]])

    self_train = Method(stages=SelfTrain(rounds=2))
    assert predicted(self_train, 0, 1 / 9) == 100
    assert predicted(self_train, 1 / 9, 1 / 3) == 500
    assert predicted(self_train, 0, 1) == 900  # the last model teaches nobody
    assert predicted(Method(stages=Chain()), 0, 1) == 500
    assert predicted(Method(members=Ensemble()), 0, 1) == 100


def test_folds_and_evolutions_are_counted_by_hand() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=100)
    first = COLUMN["probe", 0]

    def amounts(start: float, end: float, **slots: Any) -> tuple[list[float], float]:
        method = Method(student=Probe(), optim=Adamw(epochs=2, batch_size=20), **slots)
        found = seconds.amounts(Step(method=method, start=start, end=end))
        return found[first : first + 3].tolist(), float(found[COLUMN[EVOLVE, "probe"]])

    # 40 steps on everything, 20 on each half; each half predicts the other.
    assert amounts(0, 1, relabel=OutOfFold()) == ([1600, 80, 500], 0)
    assert amounts(0, 1 / 4, relabel=OutOfFold()) == ([400, 20, 300], 0)
    # Ten steps of three pairs on 200 examples each; at 3/4 half of them are done.
    evolve = Evolve(steps=10, pairs=3)
    assert amounts(0, 1, refine=evolve) == ([800, 40, 100 + 60 * 200], 60)
    assert amounts(0.5, 0.75, refine=evolve) == ([0, 0, 100 + 30 * 200], 30)
    # On their own surest half, students train half as long.
    own = SelfTrain(targets="confident", share=0.5)
    assert amounts(0, 1, stages=own) == ([1200, 60, 500], 0)


@pytest.mark.parametrize(
    ("more", "took"),
    [
        ({"student": Lora(rank=4), "refine": Evolve(steps=5, pairs=8, examples=256)}, 5.195 / 0.472),
        ({"student": Lora(rank=4), "refine": Evolve(steps=20, pairs=8, examples=64)}, 8.740 / 0.472),
        ({"student": Lora(rank=4), "refine": Evolve(steps=20, pairs=8, examples=256)}, 17.666 / 0.472),
        ({"student": Probe(), "refine": Evolve(steps=20, pairs=8, examples=64)}, 0.109 / 0.010),
        ({"student": Probe(), "refine": Evolve(steps=20, pairs=8, examples=256)}, 0.121 / 0.010),
        ({"repair": CrossFit(rounds=5)}, 0.49 / 0.43),
        ({"repair": Propagate(), "second_repair": CrossFit(rounds=5)}, 0.54 / 0.43),
        ({"repair": EmHead(), "second_repair": MeanDifference()}, 0.55 / 0.43),
        ({"repair": Neighbours(), "second_repair": Propagate()}, 0.45 / 0.43),
    ],
)
def test_what_is_believed_of_repairs_and_evolutions_is_near_what_they_took(
    more: dict[str, Any], took: float
) -> None:
    """CPU seconds over those of the same student alone, in configs/dev.yaml: a quarter of an epoch and, with
    repairs, half of one.
    """
    seconds = TrainingSeconds(transfer=1600, evaluated=1000)
    short = Method(optim=Adamw(epochs=0.5 if "repair" in more else 0.25, batch_size=32))
    alone = short.model_copy(update={"student": more.get("student", short.student)})
    amounts = [
        seconds.amounts(Step(method=one, start=0, end=1)) for one in (short.model_copy(update=more), alone)
    ]
    believed = float(amounts[0] @ PRIOR) / float(amounts[1] @ PRIOR)
    assert 1 / 1.5 < believed / took < 1.5


def test_a_repair_costs_the_same_in_either_place() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=400)
    first, last = (
        seconds.amounts(Step(method=Method(repair=repair, second_repair=second), start=0, end=1))
        for repair, second in ((Neighbours(), NoisyChannel()), (NoisyChannel(), Neighbours()))
    )
    assert np.array_equal(first, last)
    crossfit = seconds.amounts(Step(method=Method(repair=CrossFit(rounds=3)), start=0, end=1))
    assert crossfit[COLUMN["repair", "crossfit"]] == 3 * 400  # every head learns from every example
    assert [first[COLUMN["repair", kind]] for kind in ("neighbours", "noisy_channel", "elicited")] == [
        400,
        400,
        0,
    ]


def test_labels_and_selections_cost_something_at_a_start() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=400)
    method = Method(labels=LabelFormula(), select=WeightFormula())
    amounts = seconds.amounts(Step(method=method, start=0, end=1))
    assert [amounts[COLUMN[slot, "formula"]] for slot in ("labels", "select", "repair")] == [1, 1, 0]
    assert amounts[COLUMN["labels", "hard"]] == 0


def test_pairs_in_both_orders_are_trained_on_twice_and_answered_twice() -> None:
    seconds = TrainingSeconds(transfer=400, evaluated=100)

    def amounts(inputs: InputOrders, batch_size: int = 32) -> list[float]:
        method = Method(inputs=inputs, optim=Adamw(epochs=2, batch_size=batch_size), stages=SelfTrain())
        first = COLUMN["full", 0]
        return list(seconds.amounts(Step(method=method, start=0, end=1))[first : first + 4])

    # Two trainings of 2 epochs of 13 steps (25 for both orders); the first labels 400 of the transfer split.
    assert amounts(PlainInputs()) == [52 * 32, 52, 500, 1]
    assert amounts(PlainInputs(answer="averaged")) == [52 * 32, 52, 1000, 1]
    assert amounts(BothOrders(answer="as_shown")) == [100 * 32, 100, 500, 1]
    assert amounts(BothOrders()) == [100 * 32, 100, 1000, 1]
    # A batch that holds more than there is holds all of it.
    assert amounts(BothOrders(), batch_size=1000)[0] == 4 * 800


def test_predictions_of_nothing() -> None:
    assert len(TrainingSeconds(transfer=4, evaluated=4).predict([])) == 0
