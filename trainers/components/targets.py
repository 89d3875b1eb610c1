"""Training targets: the steps that a method's labels take, from weak probabilities to P(class 1)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainers.component import Component
from trainers.components.labels import LABELS
from trainers.components.repairing.per_example import ChannelPerExample
from trainers.components.repairs import (
    REPAIRS,
    Consistency,
    CrossFit,
    EmHead,
    MeanDifference,
    Neighbours,
    NoisyChannel,
    NoRepair,
    Propagate,
    Repair,
)
from trainers.components.weak_labels import Evidence, check_probabilities

STEPS = LABELS | REPAIRS


def make_targets(steps: Sequence[Component], evidence: Evidence) -> NDArray[np.float32]:
    """Return the training targets: float32 [n], P(class 1) in [0, 1].

    steps: label and repair components in order, each taking the last one's probabilities as the weak ones.
    Evidence is computed only if a component uses it. Raises ValueError if weak probabilities lie outside
    [0, 1] or the evidence is not finite.
    """
    check_probabilities("weak_probs", evidence.weak_probs)
    for step in steps:
        evidence = evidence.with_probs(STEPS[type(step)](step, evidence))
    return np.asarray(evidence.weak_probs, dtype=np.float32)


def senseless(repair: Repair, second: Repair) -> str | None:
    """Why these two repairs make no sense in this order, and the remedy; None if they do."""
    if isinstance(second, NoRepair):
        return None
    if isinstance(repair, NoRepair):
        return f"second_repair {second.kind} has no repair before it: set repair to {second.kind}"
    if repair.kind == second.kind:
        return f"repair and second_repair are both {second.kind}: set one of them to none or another kind"
    if _models_the_supervisor(second) and _follows_features(repair):
        return (
            f"second_repair {second.kind} models the weak supervisor's mistakes, of which repair "
            f"{repair.kind} leaves none to see, since its labels follow the features: swap the two"
        )
    return None


def _models_the_supervisor(repair: Repair) -> bool:
    """Whether a repair counts the weak labels' errors by a head on the features."""
    channels = NoisyChannel | ChannelPerExample
    return isinstance(repair, EmHead) or (isinstance(repair, channels) and repair.prior == "head")


def _follows_features(repair: Repair) -> bool:
    """Whether a repair's labels are a function of the features, so that a head on them finds no errors."""
    others = (Neighbours, Propagate, CrossFit, MeanDifference, Consistency)
    return isinstance(repair, others) or _models_the_supervisor(repair)
