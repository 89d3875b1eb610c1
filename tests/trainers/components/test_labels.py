"""Every label component against values worked out by hand, and against what all of them promise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.components.unasked import unasked
from trainers.components.labels import LABELS, Balanced, Hard, Label, Median, Smoothed, Soft
from trainers.components.weak_labels import Evidence, FloatArray


def made(config: Label, weak: list[float]) -> FloatArray:
    evidence = Evidence(weak_probs=np.array(weak, dtype=np.float32), features=unasked, prior=unasked, seed=3)
    return LABELS[type(config)](config, evidence)


def test_hard_decides_and_calls_a_tie_class_0() -> None:
    assert made(Hard(), [0.0, 0.49, 0.5, 0.51, 1.0]).tolist() == [0, 0, 0, 1, 1]


def test_soft_raises_to_the_inverse_temperature() -> None:
    # w = 3/4: T = 1/2 squares the odds, 9/10; T = 2 takes their root, sqrt(3)/(1 + sqrt(3)) = 0.633975.
    weak = [0.75, 0.0, 0.5, 1.0]
    assert made(Soft(temperature=0.5), weak).tolist() == pytest.approx([0.9, 0, 0.5, 1])
    assert made(Soft(temperature=2), weak).tolist() == pytest.approx([0.633975, 0, 0.5, 1], abs=1e-6)


def test_median_calls_the_upper_half_class_1() -> None:
    # The supervisor calls all but one class 1; the median of .4, .6, .7, .9 is .65.
    assert made(Median(), [0.9, 0.6, 0.4, 0.7]).tolist() == [1, 0, 0, 1]


def test_median_at_the_weak_rate_keeps_the_mean_of_the_probabilities() -> None:
    # Mean .2, so that 1 in 5 is class 1: the quantile .8 of the five is .3 + .2·(.4 - .3) = .32.
    assert made(Median(rate="weak"), [0.1, 0.3, 0.0, 0.2, 0.4]).tolist() == [0, 0, 0, 0, 1]


def test_balanced_takes_the_mean_log_odds_away() -> None:
    # Odds 1, 3, 81: log-odds (0, 1, 4)·ln 3, mean 5/3·ln 3; left odds 3^(-5/3), 3^(-2/3), 3^(7/3).
    # p = odds/(1 + odds): .160250/1.160250, .480750/1.480750, 12.980246/13.980246.
    targets = made(Balanced(), [0.5, 0.75, 81 / 82])
    assert targets.tolist() == pytest.approx([0.138117, 0.324666, 0.928470], abs=1e-6)


def test_balanced_clamps_certain_labels() -> None:
    # logit(1 - 1e-6) = 13.815510 and 0: mean 6.907755, so sigmoid(±6.907755) = .999001, .000999.
    assert made(Balanced(), [1.0, 0.5]).tolist() == pytest.approx([0.999001, 0.000999], abs=1e-6)


def test_smoothed_mixes_with_one_half() -> None:
    # .8·(1, 0, .25) + .1
    assert made(Smoothed(epsilon=0.2), [1.0, 0.0, 0.25]).tolist() == pytest.approx([0.9, 0.1, 0.3])


weak_floats = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
configs: st.SearchStrategy[Any] = st.one_of(
    st.just(Hard()),
    st.builds(Soft, temperature=st.floats(0.1, 10)),
    st.builds(Median, rate=st.sampled_from(["half", "weak"])),
    st.just(Balanced()),
    st.builds(Smoothed, epsilon=st.floats(0, 0.9)),
)


@settings(max_examples=80, deadline=None)
@given(config=configs, weak=st.lists(weak_floats, min_size=1, max_size=12))
def test_labels_are_probabilities_in_the_order_of_the_weak_ones(config: Label, weak: list[float]) -> None:
    targets = made(config, weak)
    assert targets.shape == (len(weak),)
    assert ((targets >= 0) & (targets <= 1)).all()
    assert (np.diff(targets[np.argsort(weak, kind="stable")]) >= -1e-9).all()
    assert np.array_equal(targets, made(config, weak))


@settings(max_examples=100, deadline=None)
@given(weak=st.lists(weak_floats, min_size=1, max_size=12))
def test_special_cases_leave_the_weak_probabilities(weak: list[float]) -> None:
    for config in (Soft(temperature=1), Smoothed(epsilon=0)):
        assert made(config, weak) == pytest.approx(np.array(weak, dtype=np.float32), abs=1e-6)
