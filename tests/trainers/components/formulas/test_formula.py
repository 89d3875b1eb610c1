"""Types of values, programs, and what every formula's component promises."""

import numpy as np
import pytest
from pydantic import ValidationError

from trainers.components.formulas.formula import Formula, read
from trainers.components.formulas.grammar import FormulaError
from trainers.components.formulas.labels import LabelFormula, RepairFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.operations import Dual
from trainers.components.formulas.weights import WeightFormula


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (LabelFormula, "a", "labels formula gives all examples the same number: use a signal, of w, probe"),
        (
            LabelFormula,
            "w * mean(w) + rank(a)",
            "labels formula, column 15: rank needs a value of each example",
        ),
        (
            RepairFormula,
            "quantile(w, w)",
            "repair formula, column 1: quantile needs one number for all examples",
        ),
        (WeightFormula, "mean(w)", "select formula gives all examples the same number"),
        (LabelFormula, "f", "labels formula, column 1: there is no signal f here"),
        (LabelFormula, "sg(w)", "labels formula, column 1: there is no function sg here"),
        (LabelFormula, "ce(w)", "labels formula, column 1: there is no function ce here"),
        (LabelFormula, "t", "labels formula, column 1: there is no signal t here"),
        (LossFormula, "x", "loss formula, column 1: there is no signal x here"),
        (
            LossFormula,
            "progress",
            "loss formula gives all examples the same number: use a signal, of f, margin",
        ),
        (
            LossFormula,
            "f * mean(f)",
            "loss formula, column 5: no gradient flows through mean: write mean(sg(..))",
        ),
        (LossFormula, "z(ce(t))", "loss formula, column 1: no gradient flows through z: write z(sg(..))"),
        (LossFormula, "f * rank(max(t, margin))", "loss formula, column 5: no gradient flows through rank"),
        (
            LossFormula,
            "f * quantile(t, mean(sg(f)) * f)",
            "loss formula, column 5: quantile needs one number",
        ),
    ],
)
def test_a_wrong_type_is_told_with_its_place(kind: type[Formula], text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as error:
        read(text, kind)
    assert str(error.value).startswith(sentence)
    with pytest.raises(ValidationError, match=str(error.value).split(":")[0]):
        kind(expression=text)


@pytest.mark.parametrize(
    "text", ["f * quantile(t, mean(sg(f)))", "f * rank(f > 0.5)", "f * z(where(f, 1, t))"]
)
def test_what_has_no_gradient_may_be_compared_over_the_batch(text: str) -> None:
    assert read(text, LossFormula).whole


def test_a_program_knows_its_names_and_whether_it_looks_at_others() -> None:
    program = read("1.5 * w + a * rank(w)", LabelFormula)
    assert program.names == {"w", "a"}
    assert program.whole
    assert not read("w * probe", LabelFormula).whole


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("w > 0.5", True),
        ("where(w > probe, 1, 0)", True),
        ("where(w, probe > 0.5, w > 0.5)", True),
        ("(w > 0.5) * (probe > 0.5)", True),
        ("max(w > 0.5, probe > 0.5)", True),
        ("w", False),
        ("where(w > 0.5, 1, 0.5)", False),
        ("(w > 0.5) - 1", False),
        ("w * (w > 0.5)", False),
    ],
)
def test_a_decision_is_seen(text: str, decision: bool) -> None:
    assert read(text, LabelFormula).decision is decision


def test_a_program_is_evaluated_by_hand() -> None:
    # 2·.25 + |-.5| = 1 and 2·1 + |.25| = 2.25
    values = {"w": Dual(np.array([0.25, 1.0])), "probe": Dual(np.array([-0.5, 0.25]))}
    program = read("2 * w + abs(probe)", LabelFormula)
    assert program.evaluate(values, np.float64, np).value.tolist() == [1, 2.25]


def test_the_simplest_formula_has_no_spaces_and_no_numbers_that_it_does_not_use() -> None:
    formula = LabelFormula(expression=" w * a + b *b", a=0.2, b=0.3, c=0.9)
    assert formula.simplest == LabelFormula(expression="w*a+b*b", a=0.2, b=0.3)
    assert formula.unnumbered == LabelFormula(expression="w*a+b*b")


def test_the_prior_is_asked_for_by_name_only() -> None:
    assert LabelFormula(expression="(w + prior) / 2").needs_prior
    assert not LabelFormula().needs_prior
    assert not LossFormula().needs_prior
    assert LabelFormula(expression="w + spread * (0.5 - w)").needs_spread
    assert not LabelFormula().needs_spread


@pytest.mark.parametrize("number", [-0.1, 1.1, float("nan")])
def test_numbers_have_bounds(number: float) -> None:
    with pytest.raises(ValidationError):
        LabelFormula(a=number)
