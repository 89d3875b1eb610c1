"""Formulas of weights against the selections that they write out, and against values by hand."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.trainers.components.unasked import unasked
from trainers.components.formulas.weights import (
    WeightFormula,
    formula_weights,
    normalised,
    weighs_alike,
)
from trainers.components.selection import Confidence, Disagreement, plan
from trainers.components.weak_labels import Evidence

RNG = np.random.default_rng(5)
FEATURES = RNG.standard_normal((61, 4))
WEAK = np.clip(1 / (1 + np.exp(-FEATURES[:, 0] - RNG.standard_normal(61))), 0.01, 0.99)
EVIDENCE = Evidence(weak_probs=WEAK, features=lambda: FEATURES, prior=unasked, seed=3)


def weights(expression: str, **numbers: float) -> Any:
    return formula_weights(WeightFormula(expression=expression, **numbers), EVIDENCE, WEAK)


@pytest.mark.parametrize(
    ("known", "expression", "numbers"),
    [
        (Confidence(share=0.5), "abs(w - 0.5) >= quantile(abs(w - 0.5), 1 - a)", {"a": 0.5}),
        (Confidence(share=1, weights="graded"), "rank(abs(w - 0.5))", {}),
        # 61 - ⌊.2·61 + ½⌋ = 49 are kept: those above the twelfth of 61, 12/60 of the way.
        (
            Disagreement(share=0.2),
            "where(w > 0.5, probe, 1 - probe) >= quantile(where(w > 0.5, probe, 1 - probe), 0.2)",
            {},
        ),
    ],
)
def test_selections_written_as_formulas_are_the_same(known: Any, expression: str, numbers: Any) -> None:
    (phase,) = plan(known, EVIDENCE, WEAK).phases
    assert weights(expression, **numbers) == pytest.approx(phase.weights, rel=1e-6)


def test_weights_are_positive_and_have_a_mean_of_one() -> None:
    # -1, 1 and 3: the first is dropped, and the others are ½ and 3/2.
    evidence = Evidence(weak_probs=np.array([0.0, 0.5, 1.0]), features=unasked, prior=unasked, seed=3)
    found = formula_weights(WeightFormula(expression="4 * w - 1"), evidence, evidence.weak_probs)
    assert found.tolist() == [0, 0.5, 1.5]
    assert found.dtype == np.float32


def test_the_training_target_is_a_signal() -> None:
    evidence = Evidence(weak_probs=np.array([0.1, 0.2]), features=unasked, prior=unasked, seed=3)
    assert formula_weights(WeightFormula(expression="t"), evidence, np.array([0.25, 0.75])).tolist() == [
        0.5,
        1.5,
    ]


def test_a_millionth_of_the_largest_is_nothing() -> None:
    assert normalised(np.array([1e6, 1e-1, 1e6])).tolist() == [1, 0, 1]  # type: ignore[union-attr]  # not None
    assert normalised(np.array([-1.0, 0.0])) is None


def test_weights_of_zero_are_refused_before_and_while_it_runs() -> None:
    with pytest.raises(
        ValidationError, match=r"select formula weighs every example 0 on random evidence with a 0"
    ):
        WeightFormula(expression="a * w", a=0)
    evidence = Evidence(weak_probs=np.array([0.1, 0.2]), features=unasked, prior=unasked, seed=3)
    with pytest.raises(ValueError, match=r"select formula weighs every example 0 here: w > 0\.7"):
        formula_weights(WeightFormula(expression="w > 0.7"), evidence, evidence.weak_probs)


@pytest.mark.parametrize("expression", ["1 + 0 * w", "max(w, 2)"])
def test_equal_weights_are_refused(expression: str) -> None:
    match = "select formula weighs all examples alike on random evidence: set select to all"
    with pytest.raises(ValidationError, match=match):
        WeightFormula(expression=expression)


def test_what_is_alike_by_its_numbers_or_its_targets_is_known() -> None:
    assert weighs_alike(WeightFormula(a=0), hard=False)
    assert not weighs_alike(WeightFormula(), hard=True)
    sure = WeightFormula(expression="abs(2 * t - 1)")
    assert weighs_alike(sure, hard=True)
    assert not weighs_alike(sure, hard=False)
