"""What an agent is told of formulas is so: the examples run, and every name is there."""

from typing import Any

import numpy as np
import pytest
import torch

from trainers.components.formulas.evidence import COMPUTED
from trainers.components.formulas.formula import ALL, Formula
from trainers.components.formulas.guide import EXAMPLES, Example, guide
from trainers.components.losses import Xent, example_losses
from trainers.components.selection import plan
from trainers.components.targets import make_targets
from trainers.components.weak_labels import Evidence
from trainers.method import SLOTS, Method

RNG = np.random.default_rng(5)
FEATURES = RNG.standard_normal((80, 4))
WEAK = np.clip(1 / (1 + np.exp(-FEATURES[:, 0] - RNG.standard_normal(80))), 0.01, 0.99)
EVIDENCE = Evidence(weak_probs=WEAK, features=lambda: FEATURES, prior=lambda: WEAK, seed=3)


def formula(example: Example) -> Any:
    kind: Any = SLOTS[example.slot]["formula"]
    assert issubclass(kind, Formula)
    return kind(expression=example.expression)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.slot)
def test_an_example_computes_something_of_its_own(example: Example) -> None:
    method = Method.model_validate({example.slot: formula(example)})
    assert method.plainest != Method()
    assert getattr(method.plainest, example.slot).kind == "formula"


def test_the_example_of_labels_undoes_a_preference_and_flattens() -> None:
    # With a = 1 the mean of log-odds goes; b = ½ divides the rest by 1.2.
    labels = formula(EXAMPLES[0]).model_copy(update={"a": 1.0, "b": 0.5})
    odds = np.log(WEAK / (1 - WEAK))
    expected = 1 / (1 + np.exp(-(odds - odds.mean()) / 1.2))
    assert make_targets((labels,), EVIDENCE) == pytest.approx(expected, abs=1e-6)


def test_the_example_of_weights_drops_and_ranks() -> None:
    (phase,) = plan(formula(EXAMPLES[1]).model_copy(update={"a": 0.2}), EVIDENCE, WEAK).phases
    kept = phase.weights > 0
    assert 0 < kept.sum() < len(WEAK)
    by_confidence = np.argsort(np.abs(WEAK[kept] - 0.5))
    assert (np.diff(phase.weights[kept][by_confidence]) > 0).all()


def test_the_example_of_losses_follows_the_student() -> None:
    # w = 0, f = ¾: the target is a·1 after the first fifth, a quarter of it after a twentieth.
    logits = torch.tensor([[0.0, np.log(3)]], dtype=torch.float64)
    for progress, target in ((0.0, 0.0), (0.05, 0.125), (0.2, 0.5), (0.9, 0.5)):
        found = example_losses(formula(EXAMPLES[2]), logits, torch.zeros(1), progress)
        expected = example_losses(Xent(), logits, torch.tensor([target], dtype=torch.float64), progress)
        assert found.item() == pytest.approx(expected.item(), abs=1e-9)


def test_every_name_and_example_is_told() -> None:
    text = guide()
    names = [name for name in ALL if name.isalpha() and name != "minus"]
    for name in (*names, *COMPUTED, "f", "margin", "t", "progress"):
        assert f"\n    {name}: " in text, name
    for example in EXAMPLES:
        assert example.expression in text
    assert {example.slot for example in EXAMPLES} == {"labels", "select", "loss"}
