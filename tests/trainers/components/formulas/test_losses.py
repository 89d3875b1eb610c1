"""Formulas of losses against the losses that they write out: values and gradients."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.small_runs.random_formulas import draw_formula
from tests.trainers.components.unasked import unasked
from trainers.components.formulas.losses import (
    LossFormula,
    always_like_xent,
    evidence_of,
    has_gradient,
    like_xent,
    minimal_at_own_predictions,
)
from trainers.components.losses import (
    Bootstrap,
    Entropy,
    Gce,
    LogConf,
    Loss,
    Product,
    ReverseKl,
    Sce,
    Window,
    Xent,
    example_losses,
)
from trainers.components.selection import small_loss_weights
from trainers.components.weak_labels import Evidence
from trainers.method import Abilities, Method

RNG = np.random.default_rng(5)
LOGITS = RNG.standard_normal((41, 2)) * np.where(np.arange(41) % 2, 2.0, 0.1)[:, None]
SOFT = torch.from_numpy(RNG.uniform(size=41))
RAMP = "a * min(1, progress / b)"


def learned(loss: Loss, targets: torch.Tensor, progress: float) -> tuple[Any, Any]:
    """Values and gradients, in float64."""
    logits = torch.tensor(LOGITS, requires_grad=True)
    losses = example_losses(loss, logits, targets, progress)
    (slopes,) = torch.autograd.grad(losses.sum(), logits)
    return losses.detach().numpy(), slopes.numpy()


@pytest.mark.parametrize(
    ("known", "expression", "numbers"),
    [
        (
            LogConf(aux=0.4, warmup=0.2, threshold="half"),
            f"ce(t + {RAMP} * ((f > 0.5) - t))",
            {"a": 0.4, "b": 0.2},
        ),
        (
            LogConf(aux=0.4, warmup=0.2),
            f"ce(t + {RAMP} * ((1 - f < quantile(sg(1 - f), mean(t))) - t))",
            {"a": 0.4, "b": 0.2},
        ),
        (
            Entropy(aux=0.4, warmup=0.2),
            f"(1 - {RAMP}) * ce(t) + {RAMP} * ce(f)",
            {"a": 0.4, "b": 0.2},
        ),
        (Bootstrap(beta=0.8), "ce(a * t + (1 - a) * f)", {"a": 0.8}),
        (Gce(q=0.7), "(1 - pow(where(t > 0.5, f, 1 - f), a)) / a", {"a": 0.7}),
        (
            ReverseKl(epsilon=0.01),
            "-ce(f) - f * log(clip(t, 0.01, 0.99)) - (1 - f) * log(1 - clip(t, 0.01, 0.99))",
            {},
        ),
        (
            Sce(a=0.1, b=1, log_zero=-4),
            "0.1 * ce(t) - f * max(log(t), -4) - (1 - f) * max(log(1 - t), -4)",
            {},
        ),
        (Window(radius=0.25), "(abs(f - 0.5) < a / 2) * ce(t)", {"a": 0.5}),
        (Product(), "ce(sg(f * t / (f * t + (1 - f) * (1 - t))))", {}),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
@pytest.mark.parametrize("progress", [0.05, 0.6])
def test_losses_written_as_formulas_are_the_same(
    known: Any, expression: str, numbers: Any, progress: float
) -> None:
    formula = LossFormula(expression=expression, **numbers)
    values, slopes = learned(formula, SOFT, progress)
    expected, expected_slopes = learned(known, SOFT, progress)
    assert values == pytest.approx(expected, abs=1e-6)
    assert slopes == pytest.approx(expected_slopes, abs=1e-6)


def test_small_losses_written_as_a_formula_weigh_the_same() -> None:
    # ⌊.5·41 + ½⌋ = 21 are kept, each at 41/21: those up to the median of 41.
    formula = LossFormula(expression="(ce(t) <= quantile(sg(ce(t)), a)) * ce(t) / (21 / 41)")
    plain = example_losses(Xent(), torch.tensor(LOGITS), SOFT, 1.0)
    weighted = plain * small_loss_weights(plain, 0.5)
    values, _ = learned(formula, SOFT, 1.0)
    assert values == pytest.approx(weighted.numpy(), abs=1e-6)
    assert formula.couples
    assert not LossFormula().couples


def test_the_default_is_the_focal_loss() -> None:
    # Hard t = 1, f = ¾, γ = 4a = 2: (1/4)²·ln(4/3); its slope by Lin et al., appendix A.
    logits = torch.tensor([[0.0, np.log(3)]], dtype=torch.float64, requires_grad=True)
    losses = example_losses(LossFormula(), logits, torch.ones(1, dtype=torch.float64), 0.0)
    (slopes,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.item() == pytest.approx(np.log(4 / 3) / 16)
    slope = 0.25**2 * (2 * 0.75 * np.log(0.75) + 0.75 - 1)
    assert slopes[0].tolist() == pytest.approx([-slope, slope])


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("ce(t)", "loss formula has a gradient proportional to that of ce(t): set loss to xent"),
        ("3 - 2 * ce(t)", "has a gradient proportional to that of ce(t)"),
        ("progress * ce(t)", "has a gradient proportional to that of ce(t)"),
        ("-t * log(f) - (1 - t) * log(1 - f)", "has a gradient proportional to that of ce(t)"),
        ("ce(t) - ce(sg(f))", "has a gradient proportional to that of ce(t)"),  # (f - t) - (f - f)
        ("a * ce(t) + b * t", "has a gradient proportional to that of ce(t)"),
        ("t", "loss formula has no gradient on random logits and targets: use f, margin or ce(..) outside"),
        ("sg(f * t)", "has no gradient on random logits and targets"),
        ("(f > 0.5) * t", "has no gradient on random logits and targets"),
        ("0 * margin", "has no gradient on random logits and targets"),
    ],
)
def test_a_loss_without_a_gradient_of_its_own_is_refused(expression: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        LossFormula(expression=expression)
    assert sentence in error.value.errors()[0]["msg"]


def test_what_is_cross_entropy_by_its_numbers_or_its_targets_is_known() -> None:
    assert like_xent(LossFormula(a=0), hard=False)
    assert not like_xent(LossFormula(), hard=True)
    sure = LossFormula(expression="abs(2 * t - 1) * ce(t)")
    assert always_like_xent(sure, hard=True)
    assert not like_xent(sure, hard=False)
    assert not has_gradient(LossFormula(expression="a * margin * f", a=0))


def test_what_has_no_gradient_at_the_students_own_predictions_is_known() -> None:
    assert minimal_at_own_predictions(LossFormula())
    assert minimal_at_own_predictions(LossFormula(expression="pow(f - t, 2)"))
    assert not minimal_at_own_predictions(LossFormula(expression="abs(2 * t - 1) * ce(t > 0.5)"))


def test_a_diverged_student_shows_whatever_the_formula() -> None:
    logits = torch.tensor([[0.0, 1.0], [float("nan"), 0.0]], requires_grad=True)
    formula = LossFormula(expression="where(f > 2, f, 0) + max(0, 1 - (2 * t - 1) * margin)")
    losses = example_losses(formula, logits, torch.tensor([1.0, 0.0]), 0.5)
    assert losses.isnan().tolist() == [False, True]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    batch=st.lists(
        st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32), st.floats(0, 1, width=32)),
        min_size=1,
        max_size=8,
    ),
    progress=st.floats(0, 1),
)
def test_any_formula_and_its_gradient_are_finite_in_float32(seed: int, batch: Any, progress: float) -> None:
    formula: Any = draw_formula(np.random.default_rng(seed), LossFormula)
    values = torch.tensor(batch)
    logits = values[:, :2].requires_grad_()
    known = {name: values[:, 2].flip(0) for name in formula.evidence}
    losses = example_losses(formula, logits, values[:, 2], progress, known)
    (slopes,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.shape == (len(batch),)
    assert losses.dtype == torch.float32
    assert losses.isfinite().all()
    assert slopes.isfinite().all()


def test_a_loss_weighs_what_is_known_of_an_example() -> None:
    formula = LossFormula(expression="ce(t) * (1 - abs(w - probe)) + spread * sg(f)")
    assert formula.evidence == {"w", "probe", "spread"}
    logits = torch.tensor([[0.0, 1.0], [0.5, -0.5]], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([1.0, 0.25], dtype=torch.float64)
    known = {name: torch.tensor(values) for name, values in (("w", [0.9, 0.3]), ("probe", [0.4, 0.3]))}
    known["spread"] = torch.tensor([0.2, 0.0])
    losses = example_losses(formula, logits, targets, 0.5, known)
    plain, f = example_losses(Xent(), logits, targets, 0.5), torch.softmax(logits, dim=1)[:, 1]
    expected = plain * torch.tensor([0.5, 1.0]) + known["spread"] * f
    assert losses.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    slopes, own = (
        torch.autograd.grad(total.sum(), logits, retain_graph=True)[0] for total in (losses, plain)
    )
    assert slopes.tolist() == [pytest.approx(row) for row in (own * torch.tensor([[0.5], [1.0]])).tolist()]


def test_a_loss_asks_for_the_evidence_it_names_alone() -> None:
    weak = np.array([0.2, 0.7, 0.9])
    evidence = Evidence(weak_probs=weak, features=unasked, prior=unasked, seed=0)
    found = evidence_of(LossFormula(expression="ce(w)"), evidence)
    assert list(found) == ["w"]
    assert found["w"].tolist() == np.float32(weak).tolist()
    assert evidence_of(LossFormula(), evidence) == {}


def test_a_loss_that_asks_the_strong_model_says_so() -> None:
    method = Method(loss=LossFormula(expression="ce((t + prior) / 2)"))
    assert method.needs_prior
    assert str(method.refused(Abilities(prior=False, intermediates=0))).startswith(
        "loss.formula needs a zero-shot"
    )
