"""Every repair against values worked out by hand, and against what all of them promise."""

from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainers.components.repairs import (
    REPAIRS,
    Elicited,
    Neighbours,
    NoisyChannel,
    NoRepair,
    Repair,
)
from trainers.components.weak_labels import Evidence, FloatArray


def unasked() -> NoReturn:
    raise AssertionError("this component has no need of it")


def repaired(
    config: Repair,
    weak: list[float],
    features: NDArray[np.float64] | None = None,
    prior: list[float] | None = None,
    *,
    seed: int = 3,
) -> FloatArray:
    evidence = Evidence(
        weak_probs=np.array(weak, dtype=np.float32),
        features=unasked if features is None else lambda: features,
        prior=unasked if prior is None else lambda: np.array(prior),
        seed=seed,
    )
    return REPAIRS[type(config)](config, evidence)


def test_none_leaves_the_labels() -> None:
    assert repaired(NoRepair(), [0.25, 1.0]).tolist() == [0.25, 1]


def test_noisy_channel_uses_the_zero_shot_prior() -> None:
    # As worked out in test_noisy_channel.py: 5.4/6.2 and .8/6.2.
    posterior = repaired(NoisyChannel(iterations=1), [0.8, 0.3], prior=[0.6, 0.4])
    assert posterior.tolist() == pytest.approx([5.4 / 6.2, 0.8 / 6.2])


def test_noisy_channel_with_a_probe_corrects_wrong_labels() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.5
    features = np.where(truth, 2.0, -2.0)[:, None] + 0.1 * rng.standard_normal((400, 1))
    weak = np.where(truth ^ (rng.random(400) < 0.25), 0.9, 0.1)
    posterior = repaired(NoisyChannel(prior="head"), weak.tolist(), features)
    assert ((weak > 0.5) == truth).mean() < 0.85
    assert ((posterior > 0.5) == truth).all()


def test_neighbours_average_the_nearest_others() -> None:
    # At 0°, 10°, 80°, 90° the two nearest others are (1, 2), (0, 2), (3, 1), (2, 1); w = 1, .6, .2, 0, of
    # which the means m are .4, .6, .3, .4 with mean M = .425: m(1-M) / (m(1-M) + (1-m)M).
    angles = np.radians([0.0, 10.0, 80.0, 90.0])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    weak = [1.0, 0.6, 0.2, 0.0]
    assert repaired(Neighbours(k=2), weak, features).tolist() == pytest.approx(
        [0.23 / 0.485, 0.345 / 0.515, 0.1725 / 0.47, 0.23 / 0.485]
    )
    # Half and half with w itself: m = .7, .6, .25, .2, M = .4375.
    halves = repaired(Neighbours(k=2, share=0.5), weak, features)
    assert halves.tolist() == pytest.approx([0.75, 0.3375 / 0.5125, 0.3, 0.1125 / 0.4625])


def test_neighbours_undo_the_supervisors_preference_for_a_class() -> None:
    # Two crowds, and a supervisor that calls all of one and most of the other class 1. So do neighbours, with
    # .9 in the one, and .6 or .7 in the other; what lies above their mean is the one crowd.
    features = np.repeat([[1.0, 0.0], [0.0, 1.0]], 6, axis=0)
    weak = [0.9] * 6 + [0.8, 0.8, 0.8, 0.8, 0.3, 0.3]
    assert np.mean([0.8, 0.8, 0.8, 0.3, 0.3]) == pytest.approx(0.6)
    assert (repaired(Neighbours(k=5), weak, features) > 0.5).tolist() == [True] * 6 + [False] * 6


def test_a_lone_example_keeps_its_label() -> None:
    assert repaired(Neighbours(), [0.3], np.ones((1, 2))).tolist() == pytest.approx([0.3])


def test_elicited_balances_the_prior_by_its_median() -> None:
    # Prior odds 1, 3, 27, median 3 (the mean log-odds would be those of 27^(4/9)): left 1/3, 1, 9,
    # so own = 1/4, 1/2, 9/10. Half of it and half of w = 1, 0, 0: 5/8, 1/4, 9/20.
    weak, prior = [1.0, 0.0, 0.0], [0.5, 0.75, 27 / 28]
    assert repaired(Elicited(strength=1), weak, prior=prior).tolist() == pytest.approx([0.25, 0.5, 0.9])
    assert repaired(Elicited(), weak, prior=prior).tolist() == pytest.approx([0.625, 0.25, 0.45])


def test_elicited_without_strength_leaves_the_labels() -> None:
    assert repaired(Elicited(strength=0), [0.25, 1.0], prior=[0.3, 0.9]).tolist() == [0.25, 1]


weak_floats = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
shares = st.floats(0, 1)
configs: st.SearchStrategy[Any] = st.one_of(
    st.just(NoRepair()),
    st.builds(NoisyChannel, prior=st.sampled_from(["zero_shot", "head"]), iterations=st.integers(1, 30)),
    st.builds(Neighbours, k=st.integers(1, 20), share=st.floats(0.05, 1)),
    st.builds(Elicited, strength=shares),
)
cases = st.lists(st.tuples(weak_floats, weak_floats), min_size=1, max_size=12)


@settings(max_examples=80, deadline=None)
@given(config=configs, case=cases, seed=st.integers(0, 9))
def test_repaired_labels_are_probabilities_and_repeatable(
    config: Repair, case: list[tuple[float, float]], seed: int
) -> None:
    features = np.random.default_rng(seed).standard_normal((len(case), 3))
    weak, prior = [w for w, _ in case], [p for _, p in case]
    labels = repaired(config, weak, features, prior)
    assert labels.shape == (len(case),)
    assert ((labels >= 0) & (labels <= 1)).all()
    assert np.array_equal(labels, repaired(config, weak, features, prior))
