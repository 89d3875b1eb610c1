"""The steps of labels: each takes what the one before gives, and some orders make no sense."""

import math

import numpy as np
import pytest

from tests.trainers.components.unasked import unasked
from trainers.components.labels import Hard, Median, Soft
from trainers.components.repairs import (
    Consistency,
    CrossFit,
    Elicited,
    EmHead,
    MeanDifference,
    Neighbours,
    NoisyChannel,
    NoRepair,
    Propagate,
    Repair,
)
from trainers.components.targets import make_targets, senseless
from trainers.components.weak_labels import Evidence


def evidence(weak: list[float], prior: list[float] | None = None) -> Evidence:
    return Evidence(
        weak_probs=np.array(weak, dtype=np.float32),
        features=unasked,
        prior=unasked if prior is None else lambda: np.array(prior),
        seed=3,
    )


def test_a_step_takes_what_the_step_before_gives() -> None:
    # The median splits .9, .8 | .7, .6 into 1, 1, 0, 0. The prior's odds are all at their median: own = 1/2.
    weak = evidence([0.9, 0.6, 0.8, 0.7], prior=[0.3] * 4)
    targets = make_targets((Median(), Elicited(strength=0.5)), weak)
    assert targets.tolist() == [0.75, 0.25, 0.75, 0.25]
    assert targets.dtype == np.float32


def test_the_order_of_repairs_counts() -> None:
    # Weak labels 1, 0; the prior says 4/5, 1/5, median log-odds 0, own = 4/5, 1/5.
    weak = evidence([1.0, 0.0, 1.0, 0.0], prior=[0.8, 0.2, 0.2, 0.8])
    channel, own = NoisyChannel(iterations=1), Elicited(strength=0.5)
    # E at p(ŷ = y) = 3/4: r = .8·.75/(.8·.75 + .2·.25) = 12/13, 1/13, 3/7, 4/7.
    # M: p(1 | 1) = (12/13 + 3/7)/(12/13 + 1/13 + 3/7 + 4/7) = 123/182, p(1 | 0) = 59/182.
    # Posterior of the first: .8·123/(.8·123 + .2·59) = 98.4/110.2; half of it and half of own 4/5.
    first = make_targets((Hard(), channel, own), weak)
    assert first[0] == pytest.approx((98.4 / 110.2 + 0.8) / 2)
    # The other way: .9, .1, .6, .4 have the same sides as the weak labels: the channel's posterior alone.
    assert make_targets((Hard(), own, channel), weak)[0] == pytest.approx(98.4 / 110.2)


@pytest.mark.parametrize(
    ("repair", "second", "reason"),
    [
        (NoRepair(), Neighbours(), "second_repair neighbours has no repair before it: set repair to neighb"),
        (Elicited(), Elicited(), "repair and second_repair are both elicited: set one of them to none or a"),
        (
            Neighbours(),
            NoisyChannel(prior="head"),
            "second_repair noisy_channel models the weak supervisor's mistakes, of which repair neighbours "
            "leaves none to see, since its labels follow the features: swap the two",
        ),
        (
            CrossFit(),
            EmHead(),
            "second_repair em_head models the weak supervisor's mistakes, of which repair crossfit leaves",
        ),
        (Consistency(), EmHead(), "second_repair em_head models the weak supervisor's mistakes"),
        (NoisyChannel(prior="head"), EmHead(), "second_repair em_head models the weak supervisor's mistakes"),
    ],
)
def test_a_senseless_order_has_a_reason_of_one_sentence(repair: Repair, second: Repair, reason: str) -> None:
    said = senseless(repair, second)
    assert said is not None
    assert said.startswith(reason)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("repair", "second"),
    [
        (NoRepair(), NoRepair()),
        (Neighbours(), NoRepair()),
        (NoisyChannel(prior="head"), Neighbours()),
        (Neighbours(), NoisyChannel(prior="zero_shot")),
        (Elicited(), NoisyChannel(prior="head")),
        (Propagate(), CrossFit()),
        (CrossFit(), Propagate()),
        (MeanDifference(), CrossFit()),
        (EmHead(), MeanDifference()),
    ],
)
def test_other_orders_make_sense(repair: Repair, second: Repair) -> None:
    assert senseless(repair, second) is None


@pytest.mark.parametrize("bad", [-0.1, 1.5, math.nan])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"weak_probs must lie in \[0, 1\], got .* for example 1"):
        make_targets((Hard(),), evidence([0.5, bad]))
    with pytest.raises(ValueError, match=r"evidence.prior\(\) must lie in \[0, 1\], got .* for example 0"):
        make_targets((Soft(), Elicited()), evidence([0.5], prior=[bad]))
