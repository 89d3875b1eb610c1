import itertools
import math

import numpy as np
import pytest

from agents.language.catalogue import param_specs
from search.policy.encoding import encode, width
from trainers.components.formulas.labels import LabelFormula
from trainers.components.labels import Soft
from trainers.components.losses import LogConf, Product, ReverseKl, Xent
from trainers.components.optim import Adamw
from trainers.components.repairs import Elicited, Neighbours, NoisyChannel
from trainers.components.stages import SelfTrain
from trainers.components.students import Lora, Probe
from trainers.method import SLOTS, Method


def distance(one: Method, other: Method) -> float:
    return float(np.linalg.norm(encode(one) - encode(other)))


def test_all_methods_have_the_same_width_and_lie_in_the_unit_cube() -> None:
    for slot, kinds in SLOTS.items():
        for component in kinds.values():
            point = encode(Method().model_copy(update={slot: component()}))
            assert point.shape == (width(),)
            assert ((point >= 0) & (point <= 1)).all()


def test_equal_methods_are_one_point_and_every_parameter_moves_it() -> None:
    base = Method(loss=LogConf(), optim=Adamw(lr=1e-3))
    assert distance(base, Method(loss=LogConf(), optim=Adamw(lr=1e-3))) == 0
    for name, spec in param_specs(LogConf).items():
        other = LogConf.model_validate({name: spec.members[-1] if spec.members else 0.9})
        assert distance(base, base.model_copy(update={"loss": other})) > 0
    assert distance(base, Method(loss=LogConf(), optim=Adamw(lr=1e-3, schedule="cosine"))) > 0


def test_two_kinds_without_parameters_are_one_apart() -> None:
    assert distance(Method(), Method(student=Probe(layer=0.55))) == pytest.approx(1)  # 0.55: mid of [0.1, 1]


def test_a_parameter_is_scaled_by_its_bounds() -> None:
    # aux of [0, 1] from 0.2 to 0.6; alpha of [0, 4] from 1 to 3.
    assert distance(Method(loss=LogConf(aux=0.2)), Method(loss=LogConf(aux=0.6))) == pytest.approx(0.4)
    low, high = (Method(labels=Soft(), loss=Product(alpha=alpha)) for alpha in (1, 3))
    assert distance(low, high) == pytest.approx(0.5)


def test_wide_bounds_are_scaled_by_their_logarithms() -> None:
    # lr in [1e-6, 0.1]: two of five decades.
    slow, fast = Method(optim=Adamw(lr=1e-5)), Method(optim=Adamw(lr=1e-3))
    assert distance(slow, fast) == pytest.approx(0.4)
    low, high = ReverseKl(epsilon=1e-6), ReverseKl(epsilon=0.4)
    assert distance(Method(loss=low), Method(loss=high)) == pytest.approx(1)


def test_a_list_of_values_and_a_flag_have_a_column_for_each() -> None:
    hard, soft = (Method(stages=SelfTrain(targets=targets)) for targets in ("hard", "soft"))
    assert distance(hard, soft) == pytest.approx(1)
    plain, scaled = (Method(student=Lora(rslora=flag)) for flag in (False, True))
    assert distance(plain, scaled) == pytest.approx(1)


def test_formulas_are_apart_by_about_one_whatever_they_have_in_common() -> None:
    texts = [f"sigmoid(logit(w) * {n})" for n in range(1, 30)]
    formulas = [Method(labels=LabelFormula(expression=text)) for text in texts]
    apart = [distance(one, other) for one, other in itertools.combinations(formulas, 2)]
    assert min(apart) >= 0.5
    assert max(apart) <= 1.4
    assert np.mean(apart) == pytest.approx(1, abs=0.05)
    spaced = Method(labels=LabelFormula(expression=texts[0].replace(" ", "   ")))
    assert distance(formulas[0], spaced) == 0
    moved = Method(labels=LabelFormula(expression=texts[0] + " + a", a=0.9))
    still = Method(labels=LabelFormula(expression=texts[0] + " + a", a=0.5))
    assert distance(moved, still) == pytest.approx(0.4)


def test_repairs_are_apart_by_kind_and_place_and_never_by_the_place_of_their_parameters() -> None:
    # Of three, two swapped: two kinds differ, each by 1. A parameter moves a method alike in either place.
    given = Method(repair=NoisyChannel(), second_repair=Neighbours(share=0.2))
    swapped = Method(repair=Neighbours(share=0.2), second_repair=NoisyChannel())
    assert distance(given, swapped) == pytest.approx(math.sqrt(2))
    moved = Method(repair=Neighbours(share=0.675), second_repair=NoisyChannel())
    assert distance(swapped, moved) == pytest.approx(0.5)
    assert distance(given, moved) == pytest.approx(math.sqrt(2.25))
    assert distance(Method(repair=Elicited()), Method()) == pytest.approx(1)  # strength 1/2: mid of [0, 1]


def test_what_a_method_does_not_use_keeps_it_apart_by_no_more_than_its_kind_and_own_parameters() -> None:
    # xent has none; logconf at aux 0.5 and warm-up 0.1 is 0.4 from what is absent, its threshold 0.5 (each
    # of two columns half of their height √½), and the kind 1.
    assert distance(Method(loss=Xent()), Method(loss=LogConf())) == pytest.approx(math.hypot(1, 0.4, 0.5))
