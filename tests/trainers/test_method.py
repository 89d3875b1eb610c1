from typing import Any

import pytest
import torch
from pydantic import ValidationError

from trainers.component import Component
from trainers.components.formulas.labels import LabelFormula, RepairFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.weights import WeightFormula
from trainers.components.labels import Hard, Median, Soft
from trainers.components.losses import LOSSES, Bootstrap, Loss, ReverseKl, Window, Xent, example_losses
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders, PlainInputs
from trainers.components.repairs import Consistency, Elicited, Neighbours, NoisyChannel, NoRepair, Repair
from trainers.components.selecting.spread import Spread
from trainers.components.selection import Agreement
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.components.staging.stage import Stage
from trainers.components.students import Lora, Probe
from trainers.method import SLOTS, Abilities, Method, is_minimal_at_own_predictions

NOTHING = Abilities(prior=False, intermediates=0)
ALL = Abilities(prior=True, intermediates=4, pairs=True)


def test_the_default_is_the_naive_baseline() -> None:
    naive = Method()
    kinds = [getattr(naive, slot).kind for slot in SLOTS]
    assert kinds == [
        *("hard", "none", "none", "all", "plain", "xent", "full", "adamw"),
        *("none", "once", "none", "single"),
    ]
    assert naive.sequence() == (Stage(),)
    assert naive.refused(NOTHING) is None


def test_a_digest_is_that_of_the_values() -> None:
    assert Method().digest == Method(labels=Hard()).digest
    assert Method().digest != Method(student=Lora()).digest


def test_a_method_that_stops_early_is_another_method() -> None:
    method = Method(optim=Adamw(stop=0.5))
    assert method.digest  # computed before the copy
    stopped = method.stopped_at(1 / 3)
    assert stopped == Method(optim=Adamw(stop=0.5 / 3))
    assert stopped.digest == Method(optim=Adamw(stop=0.5 / 3)).digest != method.digest
    assert method.stopped_at(1) == method


def test_a_method_survives_json() -> None:
    method = Method(
        labels=Median(), repair=Elicited(strength=0.3), student=Lora(rank=4), members=Ensemble(count=5)
    )
    assert Method.model_validate_json(method.model_dump_json()) == method


@pytest.mark.parametrize(
    ("repair", "needed"),
    [
        (NoRepair(), False),
        (Elicited(), True),
        (NoisyChannel(prior="zero_shot"), True),
        (NoisyChannel(prior="head"), False),
    ],
)
def test_what_needs_the_strong_models_own_answer(repair: Repair, needed: bool) -> None:
    method = Method(repair=repair)
    assert method.needs_prior is needed
    assert (method.refused(NOTHING) is not None) is needed
    assert method.refused(ALL) is None


@pytest.mark.parametrize(
    ("slot", "formula"),
    [
        ("labels", LabelFormula(expression="(w + prior) / 2")),
        ("repair", RepairFormula(expression="where(abs(prior - 0.5) > a, prior, w)")),
        ("select", WeightFormula(expression="1 - abs(w - prior)")),
    ],
)
def test_a_formula_that_names_the_prior_needs_it(slot: str, formula: Component) -> None:
    method = Method.model_validate({slot: formula})
    assert method.needs_prior
    assert method.refused(NOTHING) == (
        f"{slot}.formula needs a zero-shot answer, and this strong model is no language model"
    )
    assert method.refused(ALL) is None
    assert not Method.model_validate({slot: type(formula)()}).needs_prior


def test_a_formula_comes_back_from_json_as_it_was() -> None:
    method = Method(labels=LabelFormula(expression="w < a + 1e-3", a=0.25), loss=LossFormula(b=0.1))
    assert Method.model_validate_json(method.model_dump_json()) == method
    assert method.digest != Method(labels=LabelFormula(expression="w<a+1e-3", a=0.25)).digest


def test_a_second_repair_may_need_it_too() -> None:
    method = Method(repair=Neighbours(), second_repair=Elicited())
    assert method.needs_prior
    assert method.refused(NOTHING) == (
        "second_repair.elicited needs a zero-shot answer, and this strong model is no language model"
    )


def test_the_labels_of_a_method_take_up_to_three_steps() -> None:
    method = Method(labels=Soft(), repair=NoisyChannel(), second_repair=Neighbours())
    assert method.label_steps == (Soft(), NoisyChannel(), Neighbours())
    assert method != Method(labels=Soft(), repair=Neighbours(), second_repair=NoisyChannel())


@pytest.mark.parametrize(
    ("slots", "reason"),
    [
        ({"second_repair": Neighbours()}, "second_repair neighbours has no repair before it"),
        ({"repair": Neighbours(k=3), "second_repair": Neighbours()}, "are both neighbours"),
        ({"repair": Neighbours(), "second_repair": NoisyChannel(prior="head")}, "swap the two"),
    ],
)
def test_a_senseless_order_of_repairs_is_refused(slots: dict[str, Repair], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Method.model_validate(slots)


def test_a_step_of_another_slot_is_refused() -> None:
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        Method.model_validate({"labels": {"kind": "neighbours"}})
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        Method.model_validate({"repair": {"kind": "median"}})


def test_refusals_name_the_place_and_the_remedy() -> None:
    assert Method(repair=NoisyChannel()).refused(NOTHING) == (
        "repair.noisy_channel needs a zero-shot answer, and this strong model is no language model: "
        "set its prior to head"
    )
    assert Method(stages=Chain(length=2)).refused(Abilities(prior=True, intermediates=1)) == (
        "stages.chain.length must be at most 1, the intermediate models of this campaign, got 2"
    )
    assert Method(stages=Chain(length=2)).refused(ALL) is None


def test_single_texts_have_no_second_order() -> None:
    singles = Abilities(prior=True, intermediates=0)
    assert Method(inputs=BothOrders()).refused(singles) == (
        "inputs.both_orders needs pairs, and single texts have one order: leave the slot inputs out"
    )
    assert Method(inputs=PlainInputs(answer="averaged")).refused(singles) == (
        "inputs.plain.answer averaged needs pairs, and single texts have one order: leave the slot inputs out"
    )
    for inputs in (BothOrders(), BothOrders(answer="as_shown"), PlainInputs(answer="averaged")):
        assert Method(inputs=inputs).refused(Abilities(prior=False, intermediates=0, pairs=True)) is None


@pytest.mark.parametrize(
    ("slots", "place"),
    [
        ({"repair": Consistency()}, "repair.consistency"),
        ({"repair": Neighbours(), "second_repair": Consistency()}, "second_repair.consistency"),
        ({"select": Agreement()}, "select.agreement"),
    ],
)
def test_a_consistent_probe_needs_two_forms_of_an_example(slots: dict[str, Any], place: str) -> None:
    method = Method(**slots)
    assert method.refused(NOTHING) == (
        f"{place} needs pairs or a zero-shot answer, and these are single texts of a strong model that is no "
        "language model: leave it out"
    )
    assert not method.needs_prior
    for abilities in (
        Abilities(prior=True, intermediates=0),
        Abilities(prior=False, intermediates=0, pairs=True),
    ):
        assert method.refused(abilities) is None


@pytest.mark.parametrize(
    ("slots", "place"),
    [
        ({"select": Spread()}, "select.spread"),
        ({"select": WeightFormula(expression="1 - spread")}, "select.formula"),
        ({"labels": LabelFormula(expression="w + spread * (0.5 - w)")}, "labels.formula"),
    ],
)
def test_a_spread_needs_several_weak_models(slots: dict[str, Any], place: str) -> None:
    assert Method(**slots).refused(NOTHING) == (
        f"{place} needs the spread of a supervisor's weak models, and here each supervisor is one: leave "
        "spread out"
    )
    assert Method(**slots).refused(Abilities(prior=False, intermediates=0, panel=True)) is None


@pytest.mark.parametrize("loss", [Xent(), ReverseKl(), Window(), Bootstrap(beta=1)])
def test_a_continued_student_learns_nothing_from_its_own_probabilities(loss: Loss) -> None:
    with pytest.raises(ValidationError, match="targets to hard or confident, or fresh to true"):
        Method(loss=loss, stages=SelfTrain(fresh=False, targets="soft"))
    # The student's own part of the target still draws it away from one half.
    assert Method(loss=Bootstrap(), stages=SelfTrain(fresh=False, targets="soft"))
    for stages in (SelfTrain(fresh=True), SelfTrain(fresh=False, targets="hard")):
        assert Method(loss=loss, stages=stages).stages == stages


@pytest.mark.parametrize(
    ("loss", "taught"), [(config(), not is_minimal_at_own_predictions(config())) for config in LOSSES]
)
def test_which_losses_have_no_gradient_at_the_students_own_answers(loss: Loss, taught: bool) -> None:
    logits = torch.tensor([[0.3, -0.4], [0.0, 0.9], [0.2, 0.1]], requires_grad=True)
    own = torch.softmax(logits, dim=1)[:, 1].detach()
    example_losses(loss, logits, own, 1.0).mean().backward()
    assert logits.grad is not None
    assert (logits.grad.abs().max().item() > 1e-5) is taught


@pytest.mark.parametrize(
    "wrong",
    [
        {"student": {"kind": "lora", "rank": 0}},
        {"student": {"kind": "lora", "target": "embeddings"}},
        {"stages": {"kind": "self_train", "rounds": 6}},
        {"stages": {"kind": "chain", "length": 0}},
        {"members": {"kind": "ensemble", "count": 1}},
        {"members": {"kind": "ensemble", "count": 2, "aggregate": "trimmed"}},
        {"relabel": {"kind": "out_of_fold", "folds": 1}},
        {"student": {"kind": "probe", "rank": 4}},
        {"optim": {"stop": 0}},
        {"optim": {"stop": 0.1, "warmup": 0.1}},
        {"optim": {"stop": 0.5}, "stages": {"kind": "chain"}},
        {
            "optim": {"stop": 1 / 3},
            "stages": {"kind": "chain"},
            "relabel": {"kind": "posterior", "rounds": 1},
        },
    ],
)
def test_what_is_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Method.model_validate(wrong)


def test_where_a_longer_sequence_may_stop() -> None:
    """A fold's warm-up is a twentieth of the whole; a chain is over where its strong student begins."""
    folds = OutOfFold(rounds=1, folds=2)  # .5, .5 and 1
    assert Method(relabel=folds, optim=Adamw(stop=0.06, warmup=0.2)).optim.stop == 0.06
    with pytest.raises(
        ValidationError, match=r"stop 0\.05 ends the training inside its warm-up: set it above 0\.05"
    ):
        Method(relabel=folds, optim=Adamw(stop=0.05, warmup=0.2))
    chain = {"stages": Chain(), "relabel": Posterior(rounds=1)}
    with pytest.raises(ValidationError, match=r"set it above 0\.333"):
        Method(optim=Adamw(stop=0.33), **chain)
    assert Method(optim=Adamw(stop=0.34), **chain).optim.stop == 0.34


def test_only_few_weights_evolve() -> None:
    with pytest.raises(
        ValidationError, match="student full has every weight to move: set student to probe or lora"
    ):
        Method(refine=Evolve())
    for student in (Probe(), Lora()):
        assert Method(student=student, refine=Evolve()).refused(NOTHING) is None


@pytest.mark.parametrize("given", [None, 2, 4])
def test_a_sequence_goes_through_the_models_of_the_campaign(given: int | None) -> None:
    stages = Method(stages=Chain(length=2)).sequence(given)
    learners = [stage.learner for stage in stages]
    assert learners == ([1, 2, None] if given == 4 else [0, 1, None])
