import pytest

from search.studies.parameters import Axis, axes, parameters
from trainers.components.formulas.labels import LabelFormula
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.method import Method


def test_parameters_are_named_by_slot_and_component() -> None:
    named = parameters(Method(loss=LogConf(aux=0.25)))
    assert named["loss.kind"] == "logconf"
    assert named["loss.logconf.aux"] == 0.25
    assert named["labels.kind"] == "hard"
    assert "loss.kind.kind" not in named


def test_an_axis_for_what_varies() -> None:
    methods = [
        Method(optim=Adamw(lr=1e-4)),
        Method(optim=Adamw(lr=1e-2), loss=LogConf(aux=0.2)),
        Method(optim=Adamw(lr=1e-3), loss=LogConf(aux=0.4)),
    ]
    found = {axis.name: axis for axis in axes([parameters(one) for one in methods])}
    assert set(found) == {"loss.kind", "loss.logconf.aux", "optim.adamw.lr"}
    assert found["loss.kind"].levels == ("logconf", "xent")
    assert found["optim.adamw.lr"].place(1e-3) == pytest.approx(0.5)  # a hundredfold span: a log scale
    assert found["loss.logconf.aux"].place(0.25) == pytest.approx(0.25)  # twofold: linear
    assert found["loss.kind"].marks() == [(0.0, "logconf"), (1.0, "xent")]


def test_a_number_that_can_be_none_is_a_choice() -> None:
    [axis] = axes([{"select.a.b": 0.5}, {"select.a.b": "None"}])
    assert axis == Axis(name="select.a.b", levels=("0.5", "None"))


def test_formulas_are_levels_that_are_shown_by_their_beginnings() -> None:
    texts = ["w", "sigmoid(logit(w) - a * mean(logit(w)))"]
    methods = [Method(labels=LabelFormula(expression=text)) for text in texts]
    [axis] = axes([parameters(method) for method in methods])
    assert axis.name == "labels.formula.expression"
    assert axis.marks() == [(0.0, "sigmoid(logit(w) - a * …"), (1.0, "w")]
    assert axis.place(texts[0]) == 1
