"""Losses: the student's logits and weak probabilities in, a loss per example out.

Notation in the docstrings: f is the student's P(class 1), w the weak P(class 1), ŷ = 1[w > .5] (a tie is
class 0), sg the stop-gradient, and CE(t) = -t·log f - (1-t)·log(1-f) the cross-entropy against a target t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from trainers.component import Component
from trainers.components.formulas.losses import LossFormula, formula_loss
from trainers.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


class Xent(Component):
    """Cross-entropy against the training target: plain finetuning, the baseline of every comparison."""

    kind: Literal["xent"] = "xent"


class LogConf(Component):
    """Cross-entropy against a mix of the weak label and the student's own hardened prediction."""

    kind: Literal["logconf"] = "logconf"
    aux: Annotated[float, Field(ge=0, le=1, description="share of the student's own prediction")] = 0.5
    warmup: Annotated[float, Field(ge=0, le=1, description="share of training in which aux ramps up")] = 0.1
    threshold: Annotated[
        Literal["weak_mean", "half"],
        Field(description="weak_mean: as many examples become class 1 as the weak labels say; half: f > 1/2"),
    ] = "weak_mean"

    @property
    def couples(self) -> bool:
        """Whether an example's loss depends on the rest of its batch."""
        return self.threshold == "weak_mean"


class Product(Component):
    """Cross-entropy against the renormalised product of the student's and the weak probabilities.

    Hard labels need another loss: a product with 0 or 1 is that label again.
    """

    kind: Literal["product"] = "product"
    alpha: Annotated[float, Field(ge=0, le=4, description="power of the weak probability")] = 1.0
    beta: Annotated[float, Field(ge=0, le=4, description="power of the student's probability")] = 1.0


class Entropy(Component):
    """Minimum entropy: a mix of cross-entropy against the weak label and the student's own entropy."""

    kind: Literal["entropy"] = "entropy"
    aux: Annotated[float, Field(ge=0, le=1, description="share of the student's entropy")] = 0.5
    warmup: Annotated[float, Field(ge=0, le=1, description="share of training in which aux ramps up")] = 0.1


class Window(Component):
    """Cross-entropy only where the student is still undecided; confident examples teach nothing more."""

    kind: Literal["window"] = "window"
    radius: Annotated[float, Field(ge=0.01, le=0.5, description="largest distance of f from one half")] = 0.15


class Kl(Component):
    """Forward KL divergence from the weak label, by which select small_loss ranks soft labels.

    Elsewhere it is refused: it differs from cross-entropy by a constant and has the same gradient.
    """

    kind: Literal["kl"] = "kl"


class ReverseKl(Component):
    """Reverse KL divergence: mode-seeking, so the student may ignore labels that it finds implausible."""

    kind: Literal["reverse_kl"] = "reverse_kl"
    epsilon: Annotated[float, Field(ge=1e-6, le=0.4, description="least distance of w from 0 and 1")] = 0.01


class Gce(Component):
    """Generalized cross-entropy: from cross-entropy (q near 0) to the robust absolute error (q = 1)."""

    kind: Literal["gce"] = "gce"
    q: Annotated[float, Field(ge=0.01, le=1, description="robustness to wrong labels")] = 0.7


class Sce(Component):
    """Symmetric cross-entropy: cross-entropy plus a noise-tolerant reverse cross-entropy."""

    kind: Literal["sce"] = "sce"
    a: Annotated[float, Field(ge=0, le=10, description="weight of the cross-entropy")] = 0.1
    b: Annotated[float, Field(ge=0, le=10, description="weight of the reverse cross-entropy")] = 1.0
    log_zero: Annotated[float, Field(ge=-12, le=-1, description="value A that stands for log 0")] = -4.0


class Bootstrap(Component):
    """Soft bootstrapping: the target keeps a fixed share of the weak label, the rest is the student's own.

    It computes what entropy without a warm-up computes, with aux = 1 - beta.
    """

    kind: Literal["bootstrap"] = "bootstrap"
    beta: Annotated[float, Field(ge=0, le=1, description="share of the weak label")] = 0.95


# Losses of which some couple the examples of a batch: see their property `couples`.
COUPLING = (LogConf, LossFormula)

Loss = Xent | LogConf | Product | Entropy | Window | Kl | ReverseKl | Gce | Sce | Bootstrap | LossFormula


def example_losses(
    config: Loss,
    logits: Tensor,
    weak_probs: Tensor,
    progress: float,
    evidence: Mapping[str, Tensor] = MappingProxyType({}),
) -> Tensor:
    """Return each example's loss: float [n], float32 (float64 for float64 logits), finite for finite logits.

    logits: float [n, 2], n ≥ 1. weak_probs: float [n], targets P(class 1) in [0, 1]. progress: the share of
    training done, in [0, 1]. Where a loss couples examples (`couples`), they are those of the given batch, so
    a batch cut into pieces has a threshold per piece. evidence: of the same examples, what a formula takes of
    it (`LossFormula.evidence`), float [n] each.
    """
    assert logits.shape == (len(weak_probs), 2), (
        f"logits {tuple(logits.shape)}, labels {tuple(weak_probs.shape)}"
    )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_probs = torch.log_softmax(logits.to(dtype), dim=-1)
    weak = weak_probs.detach().to(device=logits.device, dtype=dtype)
    if isinstance(config, LossFormula):
        return formula_loss(config, log_probs, weak, progress, evidence)
    return LOSSES[type(config)](config, log_probs, weak, progress)


def compute_loss(config: Loss, logits: Tensor, weak_probs: Tensor, progress: float) -> Tensor:
    """Return the mean of `example_losses` over the batch: a scalar.

    Examples that a window leaves out count as zero, so the divisor is always the batch size.
    """
    return example_losses(config, logits, weak_probs, progress).mean()


def xent(config: Xent, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """CE(w).

    The loss of naive finetuning on weak labels, Burns et al. 2023.
    """
    return _cross_entropy(log_probs, weak)


def logconf(config: LogConf, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """CE((1-c)·w + c·h) with c = aux·min(1, progress/warmup) and h the student's prediction, hardened.

    h = 1[1-f < t]. At the weak mean, t is the batch quantile of 1-f at the mean of w (linear interpolation):
    about as many examples become class 1 as the weak labels imply; a batch of a single example has no
    quantile, and there t = .5. At half, t = .5. An example on the threshold is class 0. Burns et al. 2023,
    "Weak-to-Strong Generalization", appendix A.4, with the threshold of its released code; the ramp is
    linear, theirs jumps at the end of the warm-up.
    """
    first = log_probs.detach()[:, 0].exp()
    at_mean = config.threshold == "weak_mean" and len(weak) > 1
    threshold = torch.quantile(first, weak.mean().clamp(0, 1)) if at_mean else first.new_tensor(0.5)
    hardened = (first < threshold).to(weak.dtype)
    return _cross_entropy(log_probs, torch.lerp(weak, hardened, _ramp(config.aux, config.warmup, progress)))


def product(config: Product, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """CE(sg(f^beta·w^alpha / (f^beta·w^alpha + (1-f)^beta·(1-w)^alpha))), with 0^0 = 1.

    The product of experts of the code released with Burns et al. 2023.
    """
    log_target = torch.xlogy(config.alpha, _pair(weak)) + config.beta * log_probs.detach()
    return _cross_entropy(log_probs, torch.softmax(log_target, dim=-1)[:, 1])


def entropy(config: Entropy, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """(1-c)·CE(w) + c·H(f) with c = aux·min(1, progress/warmup) and H(f) = -f·log f - (1-f)·log(1-f).

    The gradient flows through H: it draws the student away from one half. With sg(f) in its place, CE(sg(f)),
    a gradient of (1-c)·(f-w) would be left, which is cross-entropy's. Grandvalet & Bengio 2004,
    "Semi-supervised Learning by Entropy Minimization": the likelihood less λ = c/(1-c) times the entropy of
    the student's own answer.
    """
    share = _ramp(config.aux, config.warmup, progress)
    return (1 - share) * _cross_entropy(log_probs, weak) + share * _entropy(log_probs)


def window(config: Window, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """CE(w) where max(f, 1-f) < .5 + radius (strictly), else 0.

    The confidence window of EleutherAI's weak-to-strong experiments (2024). A batch without an undecided
    example has loss 0 and gradient 0.
    """
    # With >=, a NaN counts as undecided, so a diverged student stays visible in its loss.
    decided = log_probs.detach().exp().amax(dim=-1) >= 0.5 + config.radius
    return _cross_entropy(log_probs, weak).masked_fill(decided, 0.0)


def kl(config: Kl, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """KL(w ‖ f) = CE(w) + w·log w + (1-w)·log(1-w), with 0·log 0 = 0.

    Kullback & Leibler 1951; as distillation, Hinton et al. 2015.
    """
    label_entropy = -torch.xlogy(weak, weak) - torch.xlogy(1 - weak, 1 - weak)
    return _cross_entropy(log_probs, weak) - label_entropy


def reverse_kl(config: ReverseKl, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """KL(f ‖ w) = f·log(f/w) + (1-f)·log((1-f)/(1-w)), w clamped to [epsilon, 1-epsilon].

    Yao et al. 2025, "Revisiting Weak-to-Strong Generalization in Theory and Practice: Reverse KL vs.
    Forward KL".
    """
    log_weak = _pair(weak).clamp(config.epsilon, 1 - config.epsilon).log()
    return (log_probs.exp() * (log_probs - log_weak)).sum(dim=-1)


def gce(config: Gce, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """(1 - f_ŷ^q) / q, where f_ŷ is the student's probability of the hardened weak label.

    Zhang & Sabuncu 2018, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy
    Labels".
    """
    hard = (weak > 0.5).long()
    log_prob = log_probs.gather(1, hard[:, None])[:, 0]
    return -torch.expm1(config.q * log_prob) / config.q


def sce(config: Sce, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """a·CE(w) + b·RCE with RCE = -f·max(log w, A) - (1-f)·max(log(1-w), A).

    For a hard label RCE is -A·(1-f_ŷ).
    Wang et al. 2019, "Symmetric Cross Entropy for Robust Learning with Noisy Labels".
    """
    log_weak = _pair(weak).log().clamp(min=config.log_zero)
    reverse = -(log_probs.exp() * log_weak).sum(dim=-1)
    return config.a * _cross_entropy(log_probs, weak) + config.b * reverse


def bootstrap(config: Bootstrap, log_probs: Tensor, weak: Tensor, progress: float) -> Tensor:
    """CE(beta·w + (1-beta)·f) = beta·CE(w) + (1-beta)·H(f).

    The gradient flows through the student's part of the target. Reed et al. 2014, "Training Deep Neural
    Networks on Noisy Labels with Bootstrapping" (soft): the authors note that this is the minimum entropy
    regularisation of Grandvalet & Bengio.
    """
    return config.beta * _cross_entropy(log_probs, weak) + (1 - config.beta) * _entropy(log_probs)


def _cross_entropy(log_probs: Tensor, target: Tensor) -> Tensor:
    return -(_pair(target) * log_probs).sum(dim=-1)


def _entropy(log_probs: Tensor) -> Tensor:
    return -(log_probs.exp() * log_probs).sum(dim=-1)


def _pair(probs: Tensor) -> Tensor:
    return torch.stack([1 - probs, probs], dim=-1)


def _ramp(aux: float, warmup: float, progress: float) -> float:
    """The coefficient c: from 0 to `aux` over the warm-up; without a warm-up it is `aux` from the start."""
    return aux if progress >= warmup else aux * progress / warmup


LOSSES: dict[type[Component], Callable[[Any, Tensor, Tensor, float], Tensor]] = {
    Xent: xent,
    LogConf: logconf,
    Product: product,
    Entropy: entropy,
    Window: window,
    Kl: kl,
    ReverseKl: reverse_kl,
    Gce: gce,
    Sce: sce,
    Bootstrap: bootstrap,
    LossFormula: formula_loss,
}
