"""No two components compute the same, over the whole catalogue: defaults and every end of a parameter."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from trainers.component import Component
from trainers.components.equivalents import Recipe, plainest
from trainers.components.formulas.formula import Formula
from trainers.components.formulas.labels import LabelFormula, RepairFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.weights import WeightFormula
from trainers.components.labels import Balanced, Hard, Label, Median, Smoothed, Soft
from trainers.components.losses import (
    Bootstrap,
    Entropy,
    Gce,
    Kl,
    LogConf,
    Loss,
    Product,
    Sce,
    Xent,
    example_losses,
)
from trainers.components.repairs import CrossFit, Elicited, Neighbours, NoisyChannel, NoRepair, Propagate
from trainers.components.selection import All, Confidence, Curriculum, Selection, SmallLoss, plan
from trainers.components.stages import Once, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.components.students import Probe
from trainers.components.targets import STEPS, make_targets, senseless
from trainers.components.weak_labels import Evidence
from trainers.method import SLOTS, Method

EXAMPLES = 64
RNG = np.random.default_rng(5)
FEATURES = RNG.standard_normal((EXAMPLES, 3))
WEAK = np.clip(1 / (1 + np.exp(-FEATURES[:, 0] - RNG.standard_normal(EXAMPLES))), 0.01, 0.99)
PRIOR = RNG.uniform(0.05, 0.95, EXAMPLES)
CONSISTENCY = np.random.default_rng(6).uniform(0.05, 0.95, EXAMPLES)
MARGINS = np.random.default_rng(8).standard_normal((2, 1, EXAMPLES))
SPREAD = np.random.default_rng(7).uniform(0.0, 0.5, EXAMPLES)
EVIDENCE = Evidence(
    weak_probs=WEAK,
    features=lambda: FEATURES,
    prior=lambda: PRIOR,
    consistency=lambda: CONSISTENCY,
    spread=lambda: SPREAD,
    margins=lambda: np.log(PRIOR / (1 - PRIOR)) + MARGINS,
    seed=3,
)
# Half of the students are nearly undecided, so that the narrowest window holds some.
LOGITS = RNG.standard_normal((EXAMPLES, 2)) * np.where(np.arange(EXAMPLES) % 2, 2.0, 0.02)[:, None]


def ends(component: type[Component]) -> list[Any]:
    """The component by its defaults, and with each parameter at its ends or members."""
    found = [component()]
    for name, field in component.model_json_schema()["properties"].items():
        if issubclass(component, Formula) and name not in component().program.names:
            continue  # a number that its default expression does not use
        values = field.get("enum", [field["minimum"], field["maximum"]] if "minimum" in field else [])
        values = [True, False] if field.get("type") == "boolean" else values
        found += [component.model_validate({name: value}) for value in values]
    return list(dict.fromkeys(found))


def of_slot(slot: str) -> list[Any]:
    return [config for component in SLOTS[slot].values() for config in ends(component)]


def allowed(slots: dict[str, Any]) -> Method | None:
    try:
        return Method.model_validate(slots)
    except ValidationError:
        return None


@cache
def targets(*steps: Component) -> NDArray[np.float32]:
    return make_targets(steps[-1:], after(*steps[:-1]))


@cache
def after(*steps: Component) -> Evidence:  # computed once for all that begin with them
    *others, step = steps or (None,)
    return after(*others).with_probs(STEPS[type(step)](step, after(*others))) if step else EVIDENCE


@cache
def gradient(loss: Loss, labels: Label, progress: float = 1.0) -> NDArray[np.float64]:
    """Of each example's loss with respect to its logit of class 1; in float64."""
    logits = torch.tensor(LOGITS, requires_grad=True)
    losses = example_losses(loss, logits, torch.from_numpy(targets(labels)).double(), progress)
    (slopes,) = torch.autograd.grad(losses.sum(), logits)
    return slopes[:, 1].numpy()


def proportional(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether one is a constant times the other, or zero, to one part in ten thousand."""
    length = np.linalg.norm(one) * np.linalg.norm(other)
    return bool(length < 1e-9 or 1 - one @ other / length < 1e-8)


def pairs_of(methods: Sequence[Method]) -> Iterator[tuple[Method, Method]]:
    """Pairs whose losses differ by more than their parameters."""
    for one, other in itertools.combinations(methods, 2):
        if one.plainest.loss.kind != other.plainest.loss.kind:
            yield one, other


@pytest.mark.parametrize("labels", of_slot("labels"), ids=str)
def test_no_loss_computes_what_another_does_but_by_name(labels: Label) -> None:
    # With xent among them: what computes cross-entropy is refused, or merged with it.
    losses = of_slot("loss")
    methods = [method for loss in losses if (method := allowed({"labels": labels, "loss": loss}))]
    for one, other in pairs_of(methods):
        slopes = gradient(one.loss, labels), gradient(other.loss, labels)
        assert not proportional(*slopes), f"{one.loss!r} computes what {other.loss!r} does on {labels!r}"


@pytest.mark.parametrize("labels", of_slot("labels"), ids=str)
def test_what_is_refused_or_merged_computes_the_same(labels: Label) -> None:
    for loss in of_slot("loss"):
        recipe = Recipe(labels=labels, select=All(), loss=loss, stages=Once())
        plain = plainest(recipe)
        if allowed({"labels": labels, "loss": loss}) is None and plain.loss == loss:
            assert gradient(loss, labels) == pytest.approx(0, abs=1e-9)  # nothing to learn at all
        if plain.loss != loss:
            slopes = gradient(loss, labels), gradient(plain.loss, plain.labels)
            assert proportional(*slopes), f"{loss!r} is not {plain.loss!r} on {labels!r}"


def test_cross_entropys_gradient_is_by_hand() -> None:
    # d/dz of CE(t) is f - t.
    own = 1 / (1 + np.exp(LOGITS[:, 0] - LOGITS[:, 1]))
    assert gradient(Xent(), Hard()) == pytest.approx(own - (WEAK > 0.5), abs=1e-6)


def test_targets_are_those_of_all_steps_at_once() -> None:
    for steps in itertools.product(
        (Hard(), Soft()), (Neighbours(), CrossFit()), (NoisyChannel(), NoRepair())
    ):
        assert np.array_equal(targets(*steps), make_targets(steps, EVIDENCE))


def test_no_two_labels_give_the_same_targets() -> None:
    for one, other in itertools.combinations(of_slot("labels"), 2):
        same = np.allclose(targets(one), targets(other), atol=1e-5)
        a, b = (
            plainest(Recipe(labels=c, select=All(), loss=Xent(), stages=Once())).labels for c in (one, other)
        )
        assert a.kind == b.kind or not same, f"{one!r} makes what {other!r} does"
        assert a != b or same, f"{one!r} does not make what {other!r} does"


def recipe(*steps: Any, loss: Loss | None = None) -> Recipe:
    labels, repair, second = (*steps, NoRepair(), NoRepair())[:3]
    loss = loss or Xent()
    return Recipe(labels=labels, select=All(), loss=loss, stages=Once(), repair=repair, second_repair=second)


def steps_of(given: Recipe) -> tuple[Component, ...]:
    return given.labels, given.repair, given.second_repair


@pytest.mark.parametrize("labels", [Hard(), Soft(), Median()], ids=str)
def test_no_two_repairs_give_the_same_targets(labels: Label) -> None:
    for one, other in itertools.combinations(of_slot("repair"), 2):
        same = np.allclose(targets(labels, one), targets(labels, other), atol=1e-5)
        a, b = plainest(recipe(labels, one)), plainest(recipe(labels, other))
        assert a.repair.kind == b.repair.kind or not same, f"{one!r} makes what {other!r} does"
        assert a != b or same, f"{one!r} does not make what {other!r} does"


def test_the_plainest_steps_give_the_same_targets() -> None:
    repairs = [component() for component in SLOTS["repair"].values()]
    repairs += [NoisyChannel(prior="head", iterations=1), Elicited(strength=0), Elicited(strength=1)]
    merged = 0
    for labels, repair, second in itertools.product(of_slot("labels"), repairs, repairs):
        if senseless(repair, second):
            continue
        given = recipe(labels, repair, second)
        plain = plainest(given)
        assert plainest(plain) == plain
        if plain != given:
            merged += 1
            assert np.allclose(targets(*steps_of(given)), targets(*steps_of(plain)), atol=1e-6), given
    assert merged > 100


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ((Smoothed(epsilon=0), Neighbours()), (Soft(), Neighbours())),
        ((Soft(), Elicited(strength=0)), (Soft(),)),
        ((Soft(), Elicited(strength=0), Neighbours()), (Soft(), Neighbours())),
        # What the second repair forgets was never made.
        ((Balanced(), Neighbours(), Elicited(strength=1)), (Hard(), Elicited(strength=1))),
        # The channel of the zero-shot prior looks at decisions; that of a head learns from probabilities.
        ((Soft(temperature=2), NoisyChannel()), (Hard(), NoisyChannel())),
        ((Soft(), NoisyChannel(prior="head")), (Soft(), NoisyChannel(prior="head"))),
        ((Balanced(), NoisyChannel()), (Balanced(), NoisyChannel())),
        ((LabelFormula(expression="w > 0.5"), Neighbours()), (Hard(), Neighbours())),
        ((Soft(), RepairFormula(expression="w")), (Soft(),)),
        ((Soft(), RepairFormula(expression="w"), Neighbours()), (Soft(), Neighbours())),
        # On hard labels it changes nothing, on others it does.
        ((Hard(), RepairFormula(expression="clip(2*w-0.5,0,1)")), (Hard(),)),
        (
            (Soft(), RepairFormula(expression="clip(2 * w - 0.5, 0, 1)", c=0.1)),
            (Soft(), RepairFormula(expression="clip(2*w-0.5,0,1)")),
        ),
        ((Balanced(), RepairFormula(expression="prior")), (Hard(), RepairFormula(expression="prior"))),
        (
            (Soft(), Neighbours(), RepairFormula(expression="prior>a")),
            (Hard(), RepairFormula(expression="prior>a")),
        ),
    ],
)
def test_steps_that_change_nothing_are_left_out(
    given: tuple[Component, ...], plain: tuple[Component, ...]
) -> None:
    assert plainest(recipe(*given)) == recipe(*plain)


def test_gce_looks_at_the_sides_of_the_last_step() -> None:
    assert plainest(recipe(Soft(), loss=Gce())) == recipe(Hard(), loss=Gce())
    given = recipe(Soft(), Neighbours(), loss=Gce())
    assert plainest(given) == given


@cache
def weights(select: Selection) -> list[Any]:
    """A plan in comparable form."""
    chosen = plan(select, EVIDENCE, targets(Hard()))
    shares = [chosen.keep_share(p) if chosen.keep_share else 1.0 for p in np.linspace(0, 1, 41)]
    return [[(p.start, p.lr_scale, p.weights.tolist()) for p in chosen.phases], shares]


def steps(select: Selection) -> list[Any]:
    """A plan, whose phases that change nothing are left out."""
    phases, shares = weights(select)
    return [[p for i, p in enumerate(phases) if i == 0 or p[1:] != phases[i - 1][1:]], shares]


def test_no_two_selections_give_the_same_weights() -> None:
    for one, other in itertools.combinations(of_slot("select"), 2):
        same = steps(one) == steps(other)
        a, b = (
            plainest(Recipe(labels=Hard(), select=c, loss=Xent(), stages=Once())).select for c in (one, other)
        )
        assert a.kind == b.kind or not same, f"{one!r} weighs as {other!r} does"
        assert a != b or same, f"{one!r} does not weigh as {other!r} does"
    assert steps(Curriculum(share=1, lr_scale=1)) == steps(All())


@pytest.mark.parametrize(
    ("slots", "reason"),
    [
        (
            {"loss": Kl()},
            "loss kl computes what xent computes, since a label's entropy is a constant: set loss",
        ),
        ({"loss": Kl(), "labels": Soft()}, "loss kl computes what xent computes"),
        (
            {"loss": Kl(), "labels": Soft(), "select": SmallLoss(share=1)},
            "loss kl computes what xent computes",
        ),
        ({"loss": Kl(), "select": SmallLoss()}, "loss kl computes what xent computes"),
        (
            {"loss": Product()},
            "loss product computes on hard labels what xent computes, since a product with 0 or 1 is that "
            "label again: set loss to xent, or labels to soft",
        ),
        ({"loss": Product(), "labels": Soft(), "repair": CrossFit()}, "set loss to xent, or labels to soft"),
        ({"loss": Product(), "labels": Soft(), "repair": Propagate()}, "set loss to xent, or labels to soft"),
        ({"loss": Product(), "stages": SelfTrain(targets="hard")}, "set loss to xent, or labels to soft"),
        ({"loss": Product(), "relabel": OutOfFold()}, "set loss to xent, or labels to soft"),
        ({"loss": Product(alpha=0)}, "loss product has no gradient where alpha is 0 and beta 1"),
        ({"loss": Sce(a=0, b=0)}, "loss sce has no gradient where a and b are 0: set a or b above 0"),
        (
            {"loss": LossFormula(expression="abs(2 * t - 1) * ce(t)")},
            "loss formula has on hard labels no gradient but one proportional to that of xent",
        ),
        (
            {
                "loss": LossFormula(expression="abs(2 * t - 1) * ce(t)"),
                "labels": LabelFormula(expression="clip(1e6 * (w - 0.5), 0, 1)"),
            },
            "loss formula has on hard labels no gradient but one proportional to that of xent",
        ),
        (
            {"loss": LossFormula(expression="a * margin * f", a=0)},
            "loss formula has no gradient with a 0, b 0.5, c 0.5: change them",
        ),
    ],
)
def test_an_empty_loss_is_refused_with_the_reason_and_the_remedy(slots: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Method.model_validate(slots)


@pytest.mark.parametrize(
    "slots",
    [
        # small_loss compares the losses of examples: kl's lack the entropy of their labels.
        {"loss": Kl(), "labels": Soft(), "select": SmallLoss()},
        {"loss": Product(), "labels": Soft()},
        {"loss": Product(), "repair": Propagate(answer="soft")},
        {"loss": Product(), "repair": CrossFit(), "second_repair": Neighbours()},
        {"loss": Product(), "stages": SelfTrain(targets="soft")},  # its second training has soft targets
        {"loss": Product(), "relabel": Posterior()},
        {"loss": Bootstrap()},
        {"loss": Entropy(warmup=0)},
        {"loss": LossFormula()},
        {"loss": LossFormula(expression="abs(2 * t - 1) * ce(t)"), "labels": Soft()},
        {"labels": LabelFormula(expression="w > 0.6")},
        {"repair": RepairFormula(expression="probe")},
        {"select": WeightFormula(expression="abs(2 * t - 1)"), "labels": Soft()},
    ],
)
def test_what_computes_something_of_its_own_is_taken(slots: dict[str, Any]) -> None:
    method = Method.model_validate(slots)
    assert method.plainest != Method()


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (Method(loss=LogConf(aux=0)), Method()),
        (Method(loss=Bootstrap(beta=1)), Method()),
        (Method(loss=Bootstrap(beta=0.7)), Method(loss=Entropy(aux=0.3, warmup=0))),
        (Method(loss=Sce(a=0)), Method(loss=Gce(q=1))),
        (Method(loss=Sce(a=0), labels=Soft()), Method(loss=Sce(a=0), labels=Soft())),
        (Method(loss=Gce(), labels=Soft(temperature=3)), Method(loss=Gce())),
        (Method(loss=Gce(), labels=Balanced()), Method(loss=Gce(), labels=Balanced())),
        (Method(labels=Smoothed(epsilon=0)), Method(labels=Soft())),
        (Method(select=Confidence(share=1)), Method()),
        (Method(labels=LabelFormula(expression="w > 0.5")), Method()),
        (Method(labels=LabelFormula(expression="where(w > 0.5, 1, 0)")), Method()),
        (Method(labels=LabelFormula(expression="w")), Method(labels=Soft())),
        (Method(labels=LabelFormula(expression="w > quantile(w, 0.5)")), Method(labels=Median())),
        (
            Method(labels=LabelFormula(expression="sigmoid(logit(w) - mean(logit(w)))")),
            Method(labels=Balanced()),
        ),
        (Method(labels=LabelFormula(b=0.1)), Method(labels=LabelFormula(c=0.9))),
        (Method(repair=RepairFormula(expression="w")), Method()),
        (Method(repair=RepairFormula(expression="w > 0.4")), Method()),
        (Method(select=WeightFormula(a=0)), Method()),
        (Method(select=WeightFormula(expression="abs(2 * t - 1)")), Method()),
        (Method(loss=LossFormula(a=0)), Method()),
        (Method(loss=LossFormula(expression=" ce( t )+a*margin", a=0)), Method()),
        (
            Method(select=Confidence(share=1, balanced=True)),
            Method(select=Confidence(share=1, balanced=True)),
        ),
        (
            Method(stages=SelfTrain(targets="confident", share=1)),
            Method(stages=SelfTrain(targets="hard", share=0.9)),
        ),
        (
            Method(members=Ensemble(count=5, aggregate="trimmed", trim=0.4)),
            Method(members=Ensemble(count=5, aggregate="median", trim=0.3)),
        ),
        (Method(members=Ensemble(count=2, aggregate="median")), Method(members=Ensemble(count=2))),
    ],
)
def test_methods_that_compute_the_same_have_the_same_plainest(given: Method, plain: Method) -> None:
    assert given.plainest == plain.plainest
    assert given.plainest.digest == plain.plainest.digest
    assert (given.plainest == given) is (given == plain and given.plainest.digest == given.digest)


@pytest.mark.parametrize(
    "after",
    [
        {"relabel": OutOfFold()},  # it keeps the mean of the targets
        {"relabel": Posterior()},
        {"refine": Evolve(rate="weak"), "student": Probe()},
    ],
)
def test_labels_that_are_read_again_are_not_the_same_by_their_sides(after: dict[str, Any]) -> None:
    soft, hard = (Method(labels=labels, loss=Gce(), **after) for labels in (Soft(), Hard()))
    assert soft.plainest != hard.plainest


def test_a_trimmed_mean_of_more_than_the_middle_is_no_median() -> None:
    for count, trim in ((5, 0.2), (16, 0.15), (4, 0.25)):  # of the first three of four it leaves out none
        trimmed = Method(members=Ensemble(count=count, aggregate="trimmed", trim=trim))
        assert trimmed.plainest == trimmed
