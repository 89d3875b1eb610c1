"""The repair whose channel of mistakes differs from example to example."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Component
from trainers.components.probing import CrossFittedProbe
from trainers.components.repairing.feature_channel import (
    doubts,
    fit_feature_channel,
    refit_with_features,
    widest_beside,
)
from trainers.components.repairing.noisy_channel import clean_prior
from trainers.components.weak_labels import Evidence, FloatArray, harden, logit, sigmoid


class ChannelPerExample(Component):
    """Posterior of the true class, as in noisy_channel, but labels are wrong more often on some examples.

    How often depends on how sure weak label and prior are, or on the features of the example.
    """

    kind: Literal["channel_per_example"] = "channel_per_example"
    prior: Annotated[
        Literal["zero_shot", "head"],
        Field(description="zero_shot: the strong model's answer; head: a cross-fitted probe on its features"),
    ] = "zero_shot"
    by: Annotated[
        Literal["doubt", "features"],
        Field(
            description="what the share of wrong labels depends on. doubt: how sure weak label and prior "
            "are, and how far zero-shot answers differ; features: eight directions of the strong model's"
        ),
    ] = "doubt"
    temper: Annotated[
        float, Field(ge=0.1, le=1, description="factor on the prior's log-odds: below 1 labels count more")
    ] = 1.0
    iterations: Annotated[int, Field(ge=1, le=200, description="steps of expectation-maximization")] = 20

    @property
    def passes(self) -> int:
        """The heads that it fits one after another, 1 if it fits none."""
        return self.iterations if self.prior == "head" else 1


def channel_per_example(config: ChannelPerExample, evidence: Evidence) -> FloatArray:
    """P(y = 1 | x, ŷ) ∝ prior(x)^temper · p(ŷ | y, φ(x)); see `repairing.feature_channel`.

    The prior is `evidence.prior()`; or for head a probe on the features, fitted on the other folds to w and
    then, each iteration, to the posterior. φ by doubt: |logit w|, the prior's |log-odds|, for head those of
    the first probe, and the standard deviation of zero-shot margins over templates and orders. φ by features:
    the eight widest directions of the strong model's features that the prior's log-odds leave. A step of the
    second rung of "Automated Weak-to-Strong Researcher" (2026); noise that depends on the instance: Menon et
    al. 2018, "Learning from binary labels with instance-dependent noise"; a model of the annotator: Raykar et
    al. 2010.
    """
    weak = evidence.weak
    if config.prior == "zero_shot":
        odds = logit(evidence.checked_prior())
        about = _about(config, evidence, odds, _differing(evidence.margins()))
        return fit_feature_channel(
            sigmoid(config.temper * odds), harden(weak), about, config.iterations
        ).posterior
    probe = CrossFittedProbe(evidence.features())

    def prior(targets: FloatArray) -> FloatArray:
        return sigmoid(config.temper * logit(clean_prior(probe.probs(targets, evidence.seed))))

    about = _about(config, evidence, logit(probe.probs(weak, evidence.seed)))
    return refit_with_features(prior, weak, about, config.iterations).posterior


def _about(
    config: ChannelPerExample, evidence: Evidence, odds: FloatArray, differing: FloatArray | None = None
) -> FloatArray:
    """φ, float64 [n, d]."""
    if config.by == "features":
        return widest_beside(odds, evidence.features())
    return doubts(evidence.weak, odds, differing)


def _differing(margins: FloatArray) -> NDArray[np.float64]:
    """The standard deviation over templates and orders, float64 [n]."""
    found: NDArray[np.float64] = np.asarray(margins, dtype=np.float64).std(axis=(0, 1))
    return found
