"""Formulas of labels against the components that they write out, and against values by hand."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.trainers.components.unasked import unasked
from trainers.components.formulas.evidence import random_signals
from trainers.components.formulas.labels import (
    LabelFormula,
    RepairFormula,
    keeps,
    label_formula,
    random_labels,
)
from trainers.components.labels import LABELS, Balanced, Hard, Median, Smoothed, Soft
from trainers.components.repairs import REPAIRS, Elicited, Neighbours
from trainers.components.weak_labels import Evidence

RNG = np.random.default_rng(5)
FEATURES = RNG.standard_normal((60, 4))
WEAK = np.clip(1 / (1 + np.exp(-FEATURES[:, 0] - RNG.standard_normal(60))), 0.01, 0.99)
PRIOR = RNG.uniform(0.05, 0.95, 60)
EVIDENCE = Evidence(weak_probs=WEAK, features=lambda: FEATURES, prior=lambda: PRIOR, seed=3)


@pytest.mark.parametrize(
    ("known", "expression", "numbers"),
    [
        (Hard(), "w > 0.5", {}),
        (Soft(temperature=2), "pow(w, a) / (pow(w, a) + pow(1 - w, a))", {"a": 0.5}),
        (Soft(temperature=0.25), "sigmoid(logit(w) * 8 * a)", {"a": 0.5}),
        (Median(), "w > quantile(w, 0.5)", {}),
        (Median(rate="weak"), "w > quantile(w, 1 - mean(w))", {}),
        (Balanced(), "sigmoid(logit(w) - mean(logit(w)))", {}),
        (Smoothed(epsilon=0.3), "(1 - a) * w + a / 2", {"a": 0.3}),
    ],
)
def test_labels_written_as_formulas_are_the_same(known: Any, expression: str, numbers: Any) -> None:
    formula = LabelFormula(expression=expression, **numbers)
    expected = LABELS[type(known)](known, EVIDENCE)
    assert label_formula(formula, EVIDENCE) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("known", "expression"),
    [
        (
            Elicited(strength=0.3),
            "(1 - a) * w + a * sigmoid(logit(prior) - quantile(logit(prior), 0.5))",
        ),
        (Neighbours(k=10, share=1), "sigmoid(logit(neighbours) - logit(mean(neighbours)))"),
        (
            Neighbours(k=10, share=0.3),
            "sigmoid(logit((1 - a) * w + a * neighbours) - logit(mean((1 - a) * w + a * neighbours)))",
        ),
    ],
)
def test_repairs_written_as_formulas_are_the_same(known: Any, expression: str) -> None:
    formula = RepairFormula(expression=expression, a=0.3)
    assert label_formula(formula, EVIDENCE) == pytest.approx(REPAIRS[type(known)](known, EVIDENCE), abs=1e-9)


def test_the_defaults_by_their_definitions() -> None:
    signals = random_signals()
    w, probe = (np.clip(signals[name], 1e-6, 1 - 1e-6) for name in ("w", "probe"))
    # Odds to the powers ¾ and ¼, and a label moved towards ½ by |w - p| of half the way.
    odds = (w / (1 - w)) ** 0.75 * (probe / (1 - probe)) ** 0.25
    assert random_labels(LabelFormula(a=0.25)) == pytest.approx(odds / (1 + odds), abs=1e-9)
    w, probe = signals["w"], signals["probe"]
    moved = w + 0.5 * np.abs(w - probe) * (0.5 - w)
    assert random_labels(RepairFormula(a=0.5)) == pytest.approx(moved, abs=1e-12)


def test_labels_are_clipped_to_probabilities() -> None:
    evidence = Evidence(weak_probs=np.array([0.1, 0.5, 0.9]), features=unasked, prior=unasked, seed=3)
    assert label_formula(LabelFormula(expression="4 * w - 1.5"), evidence).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("expression", ["w + 1", "0 - w", "w - w + 0.5", "w * 0", "a + 0 * w"])
def test_one_label_for_all_is_refused(expression: str) -> None:
    with pytest.raises(ValidationError, match="labels formula gives all examples the same label on random"):
        LabelFormula(expression=expression)


def test_a_formula_that_is_constant_by_its_number_alone_is_taken() -> None:
    assert LabelFormula(expression="a * w", a=0).a == 0


def test_what_keeps_or_forgets_the_labels_is_known() -> None:
    assert keeps(RepairFormula(expression="w"), hard=False)
    assert keeps(RepairFormula(expression="w + a * (probe - w)", a=0), hard=False)
    sharp = RepairFormula(expression="clip(2 * w - 0.5, 0, 1)")
    assert keeps(sharp, hard=True)
    assert not keeps(sharp, hard=False)
    assert RepairFormula(expression="prior > a").forgets
    assert not RepairFormula().forgets  # its probe is fitted to them
