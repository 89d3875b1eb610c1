"""Every label component against values worked out by hand, and against what all of them promise."""

import math
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainers.components.labels import (
    Balanced,
    Elicited,
    Hard,
    Label,
    Neighbours,
    NoisyChannel,
    Smoothed,
    Soft,
    make_targets,
)
from trainers.components.weak_labels import Evidence


def unasked() -> NoReturn:
    raise AssertionError("this component has no need of it")


def evidence(
    weak: list[float], features: NDArray[np.float64] | None = None, prior: list[float] | None = None
) -> Evidence:
    return Evidence(
        weak_probs=np.array(weak, dtype=np.float32),
        features=unasked if features is None else lambda: features,
        prior=unasked if prior is None else lambda: np.array(prior),
        seed=3,
    )


def test_hard_decides_and_calls_a_tie_class_0() -> None:
    targets = make_targets(Hard(), evidence([0.0, 0.49, 0.5, 0.51, 1.0]))
    assert targets.tolist() == [0, 0, 0, 1, 1]
    assert targets.dtype == np.float32


def test_soft_raises_to_the_inverse_temperature() -> None:
    # w = 3/4: T = 1/2 squares the odds, 9/10; T = 2 takes their root, sqrt(3)/(1 + sqrt(3)) = 0.633975.
    weak = evidence([0.75, 0.0, 0.5, 1.0])
    assert make_targets(Soft(temperature=0.5), weak).tolist() == pytest.approx([0.9, 0, 0.5, 1])
    assert make_targets(Soft(temperature=2), weak).tolist() == pytest.approx([0.633975, 0, 0.5, 1], abs=1e-6)


def test_balanced_takes_the_mean_log_odds_away() -> None:
    # Odds 1, 3, 81: log-odds (0, 1, 4)·ln 3, mean 5/3·ln 3; left odds 3^(-5/3), 3^(-2/3), 3^(7/3).
    # p = odds/(1 + odds): .160250/1.160250, .480750/1.480750, 12.980246/13.980246.
    targets = make_targets(Balanced(), evidence([0.5, 0.75, 81 / 82]))
    assert targets.tolist() == pytest.approx([0.138117, 0.324666, 0.928470], abs=1e-6)


def test_balanced_clamps_certain_labels() -> None:
    # logit(1 - 1e-6) = 13.815510 and 0: mean 6.907755, so sigmoid(±6.907755) = .999001, .000999.
    targets = make_targets(Balanced(), evidence([1.0, 0.5]))
    assert targets.tolist() == pytest.approx([0.999001, 0.000999], abs=1e-6)


def test_smoothed_mixes_with_one_half() -> None:
    # .8·(1, 0, .25) + .1
    targets = make_targets(Smoothed(epsilon=0.2), evidence([1.0, 0.0, 0.25]))
    assert targets.tolist() == pytest.approx([0.9, 0.1, 0.3])


def test_noisy_channel_uses_the_zero_shot_prior() -> None:
    # As worked out in test_noisy_channel.py: 5.4/6.2 and .8/6.2.
    targets = make_targets(NoisyChannel(iterations=1), evidence([0.8, 0.3], prior=[0.6, 0.4]))
    assert targets.tolist() == pytest.approx([5.4 / 6.2, 0.8 / 6.2])


def test_noisy_channel_with_a_probe_corrects_wrong_labels() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.5
    features = np.where(truth, 2.0, -2.0)[:, None] + 0.1 * rng.standard_normal((400, 1))
    weak = np.where(truth ^ (rng.random(400) < 0.25), 0.9, 0.1)
    targets = make_targets(NoisyChannel(prior="head"), evidence(weak.tolist(), features))
    assert ((weak > 0.5) == truth).mean() < 0.85
    assert ((targets > 0.5) == truth).all()


def test_neighbours_average_the_nearest_others() -> None:
    # At 0°, 10°, 80°, 90° the two nearest others are (1, 2), (0, 2), (3, 1), (2, 1); w = 1, .6, .2, 0, of
    # which the means m are .4, .6, .3, .4 with mean M = .425: m(1-M) / (m(1-M) + (1-m)M).
    angles = np.radians([0.0, 10.0, 80.0, 90.0])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    weak = evidence([1.0, 0.6, 0.2, 0.0], features)
    assert make_targets(Neighbours(k=2), weak).tolist() == pytest.approx(
        [0.23 / 0.485, 0.345 / 0.515, 0.1725 / 0.47, 0.23 / 0.485]
    )
    # Half and half with w itself: m = .7, .6, .25, .2, M = .4375.
    halves = make_targets(Neighbours(k=2, share=0.5), weak)
    assert halves.tolist() == pytest.approx([0.75, 0.3375 / 0.5125, 0.3, 0.1125 / 0.4625])


def test_neighbours_undo_the_supervisors_preference_for_a_class() -> None:
    # Two crowds, and a supervisor that calls all of one and most of the other class 1. So do neighbours, with
    # .9 in the one, and .6 or .7 in the other; what lies above their mean is the one crowd.
    features = np.repeat([[1.0, 0.0], [0.0, 1.0]], 6, axis=0)
    weak = [0.9] * 6 + [0.8, 0.8, 0.8, 0.8, 0.3, 0.3]
    assert np.mean([0.8, 0.8, 0.8, 0.3, 0.3]) == pytest.approx(0.6)
    targets = make_targets(Neighbours(k=5), evidence(weak, features))
    assert (targets > 0.5).tolist() == [True] * 6 + [False] * 6


def test_a_lone_example_keeps_its_label() -> None:
    assert make_targets(Neighbours(), evidence([0.3], np.ones((1, 2)))).tolist() == pytest.approx([0.3])


def test_elicited_balances_the_prior_by_its_median() -> None:
    # Prior odds 1, 3, 27, median 3 (the mean log-odds would be those of 27^(4/9)): left 1/3, 1, 9,
    # so own = 1/4, 1/2, 9/10. Half of it and half of w = 1, 0, 0: 5/8, 1/4, 9/20.
    full = evidence([1.0, 0.0, 0.0], prior=[0.5, 0.75, 27 / 28])
    assert make_targets(Elicited(strength=1), full).tolist() == pytest.approx([0.25, 0.5, 0.9])
    assert make_targets(Elicited(strength=0.5), full).tolist() == pytest.approx([0.625, 0.25, 0.45])


weak_floats = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
shares = st.floats(0, 1)
configs: st.SearchStrategy[Any] = st.one_of(
    st.just(Hard()),
    st.builds(Soft, temperature=st.floats(0.1, 10)),
    st.just(Balanced()),
    st.builds(Smoothed, epsilon=st.floats(0, 0.9)),
    st.builds(NoisyChannel, prior=st.sampled_from(["zero_shot", "head"]), iterations=st.integers(1, 30)),
    st.builds(Neighbours, k=st.integers(1, 20), share=shares),
    st.builds(Elicited, strength=shares),
)
cases = st.lists(st.tuples(weak_floats, weak_floats), min_size=1, max_size=12)


@settings(max_examples=80, deadline=None)
@given(config=configs, case=cases, seed=st.integers(0, 9))
def test_targets_are_probabilities_and_repeatable(
    config: Label, case: list[tuple[float, float]], seed: int
) -> None:
    features = np.random.default_rng(seed).standard_normal((len(case), 3))
    given_evidence = evidence([w for w, _ in case], features, [p for _, p in case])
    targets = make_targets(config, given_evidence)
    assert targets.shape == (len(case),)
    assert targets.dtype == np.float32
    assert ((targets >= 0) & (targets <= 1)).all()
    assert np.array_equal(targets, make_targets(config, given_evidence))


@settings(max_examples=100, deadline=None)
@given(weak=st.lists(weak_floats, min_size=1, max_size=12))
def test_special_cases_leave_the_weak_probabilities(weak: list[float]) -> None:
    features = np.random.default_rng(0).standard_normal((len(weak), 2))
    given_evidence = evidence(weak, features, [0.3] * len(weak))
    same: list[Label] = [Soft(temperature=1), Smoothed(epsilon=0), Elicited(strength=0)]
    for config in same:
        assert make_targets(config, given_evidence) == pytest.approx(given_evidence.weak_probs, abs=1e-6)


@pytest.mark.parametrize("bad", [-0.1, 1.5, math.nan])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"weak_probs must lie in \[0, 1\], got .* for example 1"):
        make_targets(Hard(), evidence([0.5, bad]))
    with pytest.raises(ValueError, match=r"evidence.prior\(\) must lie in \[0, 1\], got .* for example 0"):
        make_targets(Elicited(), evidence([0.5], prior=[bad]))
