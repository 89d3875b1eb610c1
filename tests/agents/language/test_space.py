import math

import pytest

from agents.language.catalogue import param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, Slot
from agents.language.space import corners, middle, sample_methods, single_method, space_key
from trainers.components.losses import LogConf, Xent
from trainers.components.optim import Adamw
from trainers.method import Method

SPECS = param_specs(Adamw)


def loss(*options: Option, name: str = "b") -> Branch:
    slots = (Slot(slot="loss", options=options),)
    return Branch(name=name, family="loss", hypothesis="It helps.", parent=None, slots=slots)


def logconf(*params: Param) -> Option:
    return Option(component="logconf", params=params)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (Range(name="lr", low=1e-5, high=1e-3, log=True), 1e-4),
        (Range(name="lr", low=0.01, high=0.03, log=False), 0.02),
        (Range(name="batch_size", low=4, high=64, log=True), 16),
        (Fixed(name="epochs", value=2), 2.0),
        (Choice(name="schedule", values=("cosine", "linear")), "cosine"),
    ],
)
def test_the_middle_of_a_parameter(param: Param, value: float | str) -> None:
    found = middle(SPECS[param.name], param)
    assert type(found) is type(value)
    assert found == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)


def test_corners_change_one_parameter_at_a_time() -> None:
    option = logconf(
        Range(name="aux", low=0.2, high=0.6, log=False), Choice(name="warmup", values=(0, 0.1, 0.3))
    )
    found = [(round(c.aux, 9), c.warmup) for c in corners("loss", option) if isinstance(c, LogConf)]
    assert found == [(0.4, 0), (0.2, 0), (0.6, 0), (0.4, 0.1), (0.4, 0.3)]


def test_every_combination_is_sampled() -> None:
    slots = (
        Slot(slot="loss", options=(Option(component="xent", params=()), logconf())),
        Slot(slot="labels", options=tuple(Option(component=kind, params=()) for kind in ("hard", "soft"))),
    )
    branch = loss().model_copy(update={"slots": slots})
    found = {(method.loss.kind, method.labels.kind) for method in sample_methods(branch, Method())}
    assert found == {("xent", "hard"), ("xent", "soft"), ("logconf", "hard"), ("logconf", "soft")}


@pytest.mark.parametrize(
    ("branch", "method"),
    [
        (loss(logconf(Fixed(name="aux", value=0.3))), Method(loss=LogConf(aux=0.3))),
        (loss(logconf(Choice(name="aux", values=(0.3,)))), Method(loss=LogConf(aux=0.3))),
        (loss(logconf(Choice(name="aux", values=(0.3, 0.4)))), None),
        (loss(logconf(Range(name="aux", low=0.3, high=0.4, log=False))), None),
        (loss(Option(component="xent", params=()), logconf()), None),
    ],
)
def test_a_branch_without_room_is_one_method(branch: Branch, method: Method | None) -> None:
    assert single_method(branch, Method()) == method


def test_spaces_are_equal_whatever_they_are_called() -> None:
    naive = Method()
    assert naive.loss == Xent()
    plain = space_key(loss(), naive)
    assert space_key(loss(logconf(), name="a"), naive) == space_key(
        loss(logconf(Fixed(name="aux", value=LogConf().aux)), name="c"), naive
    )
    assert space_key(loss(Option(component="xent", params=())), naive) != plain
    unnamed = loss().model_copy(update={"slots": ()})
    assert space_key(loss(Option(component="xent", params=())), naive) == space_key(unnamed, naive)
    assert space_key(unnamed, naive) != space_key(unnamed, Method(optim=Adamw(lr=math.pi / 1000)))
