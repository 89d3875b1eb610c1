"""Every loss against values worked out by hand, and against what all of them promise."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainers.components.losses import (
    LOSSES,
    Bootstrap,
    Entropy,
    Gce,
    Kl,
    LogConf,
    Loss,
    Product,
    ReverseKl,
    Sce,
    Window,
    Xent,
    compute_loss,
    example_losses,
)

LN2 = math.log(2)


def logits_of(*probs: float) -> Tensor:
    """Logits (0, log odds) of a student whose P(class 1) are `probs`."""
    return torch.tensor([[0.0, math.log(p / (1 - p))] for p in probs])


def one_loss(config: Loss, prob: float, weak: float, progress: float = 1.0) -> float:
    return float(example_losses(config, logits_of(prob), torch.tensor([weak]), progress)[0])


def test_xent_is_the_cross_entropy_with_soft_labels() -> None:
    # f = 3/4, w = 1/2: -(ln(3/4) + ln(1/4))/2 = (2 ln 4 - ln 3)/2 = 0.836988
    assert one_loss(Xent(), 0.75, 0.5) == pytest.approx((2 * math.log(4) - math.log(3)) / 2)
    assert one_loss(Xent(), 0.75, 1.0) == pytest.approx(0.287682, abs=1e-6)  # -ln(3/4)


def test_logconf_mixes_in_the_student_hardened_at_the_batch_quantile() -> None:
    # 1-f = .9, .8, .4, .3; mean w = (1 + 1 + 0 + 0)/4 = .5, so t = (.4 + .8)/2 = .6 and h = 0, 0, 1, 1.
    # With aux .5 and w = 1, 1, 0, 0 every target is .5: loss_i = -(ln f + ln(1-f))/2.
    probs = (0.1, 0.2, 0.6, 0.7)
    weak = torch.tensor([1.0, 1.0, 0.0, 0.0])
    expected = [-(math.log(f) + math.log(1 - f)) / 2 for f in probs]
    losses = example_losses(LogConf(aux=0.5, warmup=0.1), logits_of(*probs), weak, 0.5)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)


def test_logconf_threshold_follows_the_weak_labels_and_not_one_half() -> None:
    # All f > .5, but mean w = 1/4: t = quantile of 1-f = (.1, .2, .3, .4) at .25 = .1 + .75·.1 = .175,
    # so only the first, 1-f = .1 < t, is hardened to class 1. With aux 1 the loss is CE(h).
    probs = (0.9, 0.8, 0.7, 0.6)
    losses = example_losses(LogConf(aux=1, warmup=0), logits_of(*probs), torch.full((4,), 0.25), 0.0)
    expected = [-math.log(0.9), -math.log(0.2), -math.log(0.3), -math.log(0.4)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)


def test_logconf_at_half_hardens_each_example_by_itself() -> None:
    # All f > .5, so all are class 1, whatever the weak labels say. With aux 1 the loss is CE(h) = -ln f.
    probs = (0.9, 0.8, 0.7, 0.6)
    config = LogConf(aux=1, warmup=0, threshold="half")
    losses = example_losses(config, logits_of(*probs), torch.full((4,), 0.25), 0.0)
    assert losses.tolist() == pytest.approx([-math.log(f) for f in probs], rel=1e-5)
    # On one half itself it is class 0.
    assert one_loss(config, 0.5, 1.0) == pytest.approx(LN2)
    assert LogConf().couples
    assert not config.couples


def test_logconf_ramps_linearly_and_then_stays() -> None:
    # f = 3/4 alone, w = 0, h = 1: loss = (1-c) ln 4 + c (ln 4 - ln 3) = ln 4 - c ln 3.
    for progress, c in [(0.0, 0.0), (0.05, 0.2), (0.1, 0.4), (0.2, 0.8), (0.9, 0.8)]:
        config = LogConf(aux=0.8, warmup=0.2)
        assert one_loss(config, 0.75, 0.0, progress) == pytest.approx(math.log(4) - c * math.log(3), rel=1e-5)


def test_logconf_on_a_batch_of_one_hardens_at_one_half() -> None:
    assert one_loss(LogConf(aux=1, warmup=0), 0.75, 0.9) == pytest.approx(-math.log(0.75))
    assert one_loss(LogConf(aux=1, warmup=0), 0.25, 0.9) == pytest.approx(-math.log(0.75))


def test_logconf_calls_ties_with_the_threshold_class_0() -> None:
    # Four equal students: each sits on the threshold, so h = 0 and CE(h) = -ln(1-f) = ln 4.
    losses = example_losses(LogConf(aux=1, warmup=0), logits_of(*[0.75] * 4), torch.full((4,), 0.5), 1.0)
    assert losses.tolist() == pytest.approx([math.log(4)] * 4)


def test_product_multiplies_student_and_weak_label() -> None:
    # f = 3/4, w = 3/4, alpha = beta = 1: odds 3·3 = 9, target 9/10: -(.9 ln(3/4) + .1 ln(1/4)) = 0.397543.
    assert one_loss(Product(), 0.75, 0.75) == pytest.approx(0.397543, abs=1e-6)
    # alpha = 2, beta = 1/2, f = 4/5, w = 1/4: odds sqrt(4)·(1/3)² = 2/9, target 2/11:
    # -(2 ln .8 + 9 ln .2)/11 = 1.357384.
    assert one_loss(Product(alpha=2, beta=0.5), 0.8, 0.25) == pytest.approx(1.357384, abs=1e-6)


def test_product_keeps_certain_labels_unless_their_power_is_zero() -> None:
    assert one_loss(Product(), 0.25, 1.0) == pytest.approx(math.log(4))
    # alpha = 0: 0^0 = 1, so the target is f itself: the student's entropy, ln 2 at f = 1/2.
    assert one_loss(Product(alpha=0, beta=1), 0.5, 0.0) == pytest.approx(LN2)


def test_entropy_mixes_in_the_soft_student() -> None:
    # f = 3/4, w = 0, c = .5: target 3/8: -(3 ln(3/4) + 5 ln(1/4))/8 = 0.974315.
    assert one_loss(Entropy(aux=0.5, warmup=0), 0.75, 0.0, 0.0) == pytest.approx(0.974315, abs=1e-6)
    # Half of the warm-up: c = .25, target 3/16: ln 4 - (3/16) ln 3.
    halfway = one_loss(Entropy(aux=0.5, warmup=0.2), 0.75, 0.0, 0.1)
    assert halfway == pytest.approx(math.log(4) - 3 / 16 * math.log(3))


def test_window_drops_decided_examples_but_divides_by_the_batch() -> None:
    # radius .2: max(f, 1-f) = .6 is inside, .75 and .8 are not. Loss -ln(.6)/3 = 0.170275.
    logits, weak = logits_of(0.6, 0.75, 0.2), torch.tensor([1.0, 0.0, 1.0])
    assert example_losses(Window(radius=0.2), logits, weak, 0.0).tolist() == pytest.approx(
        [-math.log(0.6), 0.0, 0.0]
    )
    assert float(compute_loss(Window(radius=0.2), logits, weak, 0.0)) == pytest.approx(0.170275, abs=1e-6)


def test_window_without_an_undecided_example_has_no_gradient() -> None:
    logits = logits_of(0.9, 0.1).requires_grad_()
    loss = compute_loss(Window(radius=0.1), logits, torch.tensor([0.0, 1.0]), 0.0)
    (slopes,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert slopes.tolist() == [[0, 0], [0, 0]]


def test_kl_is_cross_entropy_less_the_label_entropy() -> None:
    # f = 3/4, w = 1/2: 0.836988 - ln 2 = 0.143841; it is 0 where f = w.
    assert one_loss(Kl(), 0.75, 0.5) == pytest.approx(0.143841, abs=1e-6)
    assert one_loss(Kl(), 0.3, 0.3) == pytest.approx(0, abs=1e-6)
    assert one_loss(Kl(), 0.75, 0.0) == pytest.approx(math.log(4))


def test_reverse_kl_weighs_by_the_student() -> None:
    # f = 3/4, w = 1/2: ln 2 - H(3/4) = .75 ln 1.5 + .25 ln .5 = 0.130812.
    assert one_loss(ReverseKl(), 0.75, 0.5) == pytest.approx(0.130812, abs=1e-6)
    # w = 0 clamped to .1, f = 1/2: .5 ln(.5/.1) + .5 ln(.5/.9) = .5 ln(25/9) = 0.510826.
    assert one_loss(ReverseKl(epsilon=0.1), 0.5, 0.0) == pytest.approx(0.510826, abs=1e-6)


def test_gce_looks_at_the_hard_label_only() -> None:
    # q = .5, f = 1/4: for ŷ = 1 (1 - 1/2)/.5 = 1; for ŷ = 0 (1 - sqrt(3)/2)/.5 = 2 - sqrt(3).
    assert one_loss(Gce(q=0.5), 0.25, 0.51) == pytest.approx(1.0)
    assert one_loss(Gce(q=0.5), 0.25, 0.49) == pytest.approx(2 - math.sqrt(3))


def test_gce_calls_a_tie_class_0() -> None:
    assert one_loss(Gce(q=1), 0.25, 0.5) == pytest.approx(0.25)


def test_sce_adds_the_reverse_cross_entropy() -> None:
    # Hard w = 1, f = 3/4, A = -4: CE = ln(4/3), RCE = 4·(1/4) = 1; .1·0.287682 + 1 = 1.028768.
    assert one_loss(Sce(), 0.75, 1.0) == pytest.approx(1.028768, abs=1e-6)
    # Soft w = 1/2: log w is above A, so RCE = ln 2 whatever f is; .1·0.836988 + ln 2.
    assert one_loss(Sce(), 0.75, 0.5) == pytest.approx(0.0836988 + LN2, abs=1e-6)


def test_bootstrap_keeps_a_fixed_share_of_the_label() -> None:
    # beta = .8, f = 3/4, w = 0: target .2·.75 = .15: ln 4 - .15 ln 3.
    assert one_loss(Bootstrap(beta=0.8), 0.75, 0.0) == pytest.approx(math.log(4) - 0.15 * math.log(3))


@pytest.mark.parametrize(
    ("config", "slope"),
    [
        # d/dz of CE(t) is f - t, with t held constant, and of the student's entropy -f(1-f)·logit f.
        # f = 3/4, w = 0: f(1-f) = 3/16, logit f = ln 3.
        (Xent(), 0.75),
        (Kl(), 0.75),
        (LogConf(aux=0.5, warmup=0), 0.25),  # t = .5·1
        (LogConf(aux=0.5, warmup=0, threshold="half"), 0.25),
        (Entropy(aux=0.5, warmup=0), 0.375 - 0.5 * 0.1875 * math.log(3)),
        (Bootstrap(beta=0.8), 0.6 - 0.2 * 0.1875 * math.log(3)),
        (Product(alpha=0, beta=2), -0.15),  # t = 9/10
        (Gce(q=1), 0.1875),  # d f/dz = f(1-f)
        (Gce(q=0.5), 0.375),  # f·(1-f)^q = .75·.5
        (Sce(a=1, b=1, log_zero=-4), 1.5),  # .75 + 4·f(1-f)
        # d/dz KL(f ‖ v) = f(1-f)(logit f - logit v), v = .1: .1875·(ln 3 + ln 9) = .1875·ln 27
        (ReverseKl(epsilon=0.1), 0.1875 * math.log(27)),
        (Window(radius=0.5), 0.75),
    ],
)
def test_gradient_stops_where_the_definition_says(config: Loss, slope: float) -> None:
    logits = logits_of(0.75).requires_grad_()
    (slopes,) = torch.autograd.grad(compute_loss(config, logits, torch.tensor([0.0]), 1.0), logits)
    assert slopes[0].tolist() == pytest.approx([-slope, slope], rel=1e-4)


floats = st.floats(-50, 50, width=32)
weak_floats = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
batches = st.lists(st.tuples(floats, floats, weak_floats), min_size=1, max_size=9)
shares = st.floats(0, 1)
configs: st.SearchStrategy[Any] = st.one_of(
    st.just(Xent()),
    st.builds(LogConf, aux=shares, warmup=shares, threshold=st.sampled_from(["weak_mean", "half"])),
    st.builds(Product, alpha=st.floats(0, 4), beta=st.floats(0, 4)),
    st.builds(Entropy, aux=shares, warmup=shares),
    st.builds(Window, radius=st.floats(0.01, 0.5)),
    st.just(Kl()),
    st.builds(ReverseKl, epsilon=st.floats(1e-6, 0.4)),
    st.builds(Gce, q=st.floats(0.01, 1)),
    st.builds(Sce, a=st.floats(0, 10), b=st.floats(0, 10), log_zero=st.floats(-12, -1)),
    st.builds(Bootstrap, beta=shares),
)


def unpack(batch: list[tuple[float, float, float]]) -> tuple[Tensor, Tensor]:
    values = torch.tensor(batch)
    return values[:, :2], values[:, 2]


@settings(max_examples=300, deadline=None)
@given(config=configs, batch=batches, progress=shares)
def test_any_loss_and_its_gradient_are_finite(
    config: Loss, batch: list[tuple[float, float, float]], progress: float
) -> None:
    logits, weak = unpack(batch)
    logits.requires_grad_()
    losses = example_losses(config, logits, weak, progress)
    (slopes,) = torch.autograd.grad(losses.mean(), logits)
    assert losses.shape == weak.shape
    assert losses.isfinite().all()
    assert (losses >= -1e-4).all()
    assert slopes.isfinite().all()


@settings(max_examples=100, deadline=None)
@given(config=configs, batch=batches, progress=shares)
def test_half_precision_logits_are_computed_in_float32(
    config: Loss, batch: list[tuple[float, float, float]], progress: float
) -> None:
    logits, weak = unpack(batch)
    low = logits.to(torch.bfloat16)
    losses = example_losses(config, low, weak, progress)
    assert losses.dtype == torch.float32
    assert torch.equal(losses, example_losses(config, low.float(), weak, progress))


@settings(max_examples=100, deadline=None)
@given(batch=batches, progress=shares)
def test_special_cases_meet(batch: list[tuple[float, float, float]], progress: float) -> None:
    logits, weak = unpack(batch)
    plain = example_losses(Xent(), logits, weak, progress)
    same: list[Loss] = [
        LogConf(aux=0),
        LogConf(aux=1, warmup=1) if progress == 0 else LogConf(aux=0, warmup=0.5),
        Entropy(aux=0),
        Bootstrap(beta=1),
        Product(alpha=1, beta=0),
        Sce(a=1, b=0),
    ]
    for config in same:
        torch.testing.assert_close(
            example_losses(config, logits, weak, progress), plain, rtol=1e-5, atol=1e-5
        )
    own = torch.softmax(logits, dim=-1)
    absolute = 1 - torch.where(weak > 0.5, own[:, 1], own[:, 0])
    torch.testing.assert_close(example_losses(Gce(q=1), logits, weak, 0.0), absolute, rtol=1e-5, atol=1e-6)
    # Entropy with aux a is bootstrapping with beta 1 - a.
    torch.testing.assert_close(
        example_losses(Entropy(aux=0.25, warmup=0), logits, weak, progress),
        example_losses(Bootstrap(beta=0.75), logits, weak, progress),
        rtol=1e-5,
        atol=1e-5,
    )


def test_gce_tends_to_cross_entropy() -> None:
    # (1 - f^q)/q = -ln f - q (ln f)²/2 + ..: for f = 3/4, q = .01 within .01·.0414 of 0.287682.
    assert one_loss(Gce(q=0.01), 0.75, 1.0) == pytest.approx(0.287682 - 0.01 * 0.041381, abs=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
def test_a_diverged_student_shows(kind: type[Any]) -> None:
    logits = torch.tensor([[0.0, 1.0], [math.nan, 0.0]])
    assert compute_loss(kind(), logits, torch.tensor([1.0, 0.0]), 0.5).isnan()


@pytest.mark.parametrize("kind", LOSSES)
def test_loss_is_the_mean_of_the_examples(kind: type[Any]) -> None:
    logits, weak = logits_of(0.55, 0.45, 0.6), torch.tensor([1.0, 0.0, 0.3])
    losses = example_losses(kind(), logits, weak, 0.5)
    assert float(compute_loss(kind(), logits, weak, 0.5)) == pytest.approx(sum(losses.tolist()) / 3)


def test_mismatched_shapes_do_not_broadcast() -> None:
    with pytest.raises(AssertionError):
        compute_loss(Xent(), torch.zeros(3, 2), torch.zeros(1), 0.0)
