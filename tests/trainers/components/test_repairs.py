"""Every repair against values worked out by hand, and against what all of them promise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.trainers.components.unasked import unasked
from trainers.components.repairs import (
    REPAIRS,
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
from trainers.components.weak_labels import Evidence, FloatArray


def repaired(
    config: Repair,
    weak: list[float],
    features: NDArray[np.float64] | None = None,
    prior: list[float] | None = None,
    consistency: list[float] | None = None,
    *,
    seed: int = 3,
) -> FloatArray:
    evidence = Evidence(
        weak_probs=np.array(weak, dtype=np.float32),
        features=unasked if features is None else lambda: features,
        prior=unasked if prior is None else lambda: np.array(prior),
        consistency=unasked if consistency is None else lambda: np.array(consistency),
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


def test_propagated_labels_keep_the_share_of_class_1() -> None:
    # The chain of test_propagation.py, a = .8/sqrt(2), a² = .32: its inverse is [[.68, a, .32], [a, 1, a],
    # [.32, a, .68]] / .36, so that the shares are .68/(1 + a), a/(1 + 2a), .32/(1 + a). One label of three is
    # class 1: the quantile 2/3 lies a third of the way from the second to the highest.
    angles = np.radians([0.0, 60.0, 120.0])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    config = Propagate(k=1, alpha=0.8)
    assert repaired(config, [1.0, 0.0, 0.0], features).tolist() == [1, 0, 0]
    a = 0.8 / np.sqrt(2)
    first, second, third = 0.68 / (1 + a), a / (1 + 2 * a), 0.32 / (1 + a)
    cut = second + (first - second) / 3
    soft = repaired(config.model_copy(update={"answer": "soft"}), [1.0, 0.0, 0.0], features)
    odds = np.array([p / (1 - p) for p in (first, second, third)]) * (1 - cut) / cut
    assert soft == pytest.approx(odds / (1 + odds), abs=1e-5)


def test_a_wrong_label_is_outvoted_on_the_graph() -> None:
    # Two crowds of five; in each a neighbour's label is wrong, and classes are even.
    features = np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0)
    weak = [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    assert repaired(Propagate(k=4), weak, features).tolist() == [1] * 5 + [0] * 5


def noisy(errors: float) -> tuple[NDArray[np.bool_], NDArray[np.float64], list[float]]:
    """Two classes of 200 in three dimensions, and labels of which a share is wrong."""
    rng = np.random.default_rng(0)
    truth = np.repeat([False, True], 200)
    features = np.where(truth, 2.0, -2.0)[:, None] + rng.standard_normal((400, 3))
    return truth, features, (truth ^ (rng.random(400) < errors)).astype(float).tolist()


@pytest.mark.parametrize(
    "config", [Propagate(), CrossFit(), CrossFit(rounds=1), EmHead(), EmHead(iterations=50), MeanDifference()]
)
def test_errors_without_a_pattern_are_undone(config: Repair) -> None:
    truth, features, weak = noisy(0.3)
    assert ((np.array(weak) > 0.5) == truth).mean() < 0.75
    # The classes touch at 2·sqrt(3) = 3.5 standard deviations: one example in 4,000 is on the wrong side.
    assert ((repaired(config, weak, features) > 0.5) == truth).mean() > 0.97


def test_a_probe_sees_no_label_that_it_makes_anew() -> None:
    # Whatever an example's label is, it does not change its own probability, but the quantile moves with the
    # share: of two classes far apart, one label is turned, and turned back.
    truth, features, _ = noisy(0)
    for turned in (0, 399):
        weak = truth.astype(float)
        weak[turned] = 1 - weak[turned]
        labels = repaired(CrossFit(rounds=1), weak.tolist(), features)
        assert (labels > 0.5).sum() == weak.sum()
        assert (labels > 0.5)[turned] == truth[turned]


def test_crossfit_draws_other_folds_with_another_seed() -> None:
    _, features, weak = noisy(0.45)
    first, again, other = (repaired(CrossFit(rounds=1), weak, features, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_em_with_a_head_keeps_the_share_of_class_1_and_is_surer_where_the_label_agrees() -> None:
    truth, features, weak = noisy(0.3)
    posterior = repaired(EmHead(), weak, features)
    assert (posterior > 0.5).mean() == pytest.approx(np.mean(weak), abs=1 / 400)
    agrees = (np.array(weak) > 0.5) == truth
    sure = np.abs(posterior - 0.5)
    assert sure[agrees].mean() > sure[~agrees].mean() + 0.05


def test_what_a_repair_costs_is_counted_by_the_heads_that_it_fits() -> None:
    assert [config.passes for config in (CrossFit(rounds=3), EmHead(iterations=7), Propagate())] == [3, 7, 1]
    assert [NoisyChannel(prior=prior, iterations=9).passes for prior in ("head", "zero_shot")] == [9, 1]


def test_elicited_balances_the_prior_by_its_median() -> None:
    # Prior odds 1, 3, 27, median 3 (the mean log-odds would be those of 27^(4/9)): left 1/3, 1, 9,
    # so own = 1/4, 1/2, 9/10. Half of it and half of w = 1, 0, 0: 5/8, 1/4, 9/20.
    weak, prior = [1.0, 0.0, 0.0], [0.5, 0.75, 27 / 28]
    assert repaired(Elicited(strength=1), weak, prior=prior).tolist() == pytest.approx([0.25, 0.5, 0.9])
    assert repaired(Elicited(), weak, prior=prior).tolist() == pytest.approx([0.625, 0.25, 0.45])


def test_elicited_without_strength_leaves_the_labels() -> None:
    assert repaired(Elicited(strength=0), [0.25, 1.0], prior=[0.3, 0.9]).tolist() == [0.25, 1]


def test_consistency_mixes_in_a_probe_whose_sign_most_labels_give() -> None:
    # ŷ = 1, 0, 1; the probe decides 0, 1, 1 and is turned round: .7, .4, .2.
    probe = [0.3, 0.6, 0.8]
    weak = [0.9, 0.1, 0.6]
    assert repaired(Consistency(), weak, consistency=probe).tolist() == pytest.approx([0.7, 0.4, 0.2])
    half = repaired(Consistency(strength=0.5), weak, consistency=probe)
    assert half.tolist() == pytest.approx([0.8, 0.25, 0.4])
    # Two of three agree: it stays.
    stays = repaired(Consistency(), [0.1, 0.9, 0.2], consistency=probe)
    assert stays.tolist() == probe


weak_floats = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
shares = st.floats(0, 1)
configs: st.SearchStrategy[Any] = st.one_of(
    st.just(NoRepair()),
    st.builds(NoisyChannel, prior=st.sampled_from(["zero_shot", "head"]), iterations=st.integers(1, 30)),
    st.builds(Neighbours, k=st.integers(1, 20), share=st.floats(0.05, 1)),
    st.builds(
        Propagate,
        k=st.integers(1, 20),
        alpha=st.floats(0.8, 0.99),
        answer=st.sampled_from(["hard", "soft"]),
    ),
    st.builds(CrossFit, rounds=st.integers(1, 3)),
    st.builds(EmHead, iterations=st.integers(1, 3)),
    st.just(MeanDifference()),
    st.builds(Elicited, strength=shares),
    st.builds(Consistency, strength=st.floats(0.05, 1)),
)
cases = st.lists(st.tuples(weak_floats, weak_floats), min_size=1, max_size=12)


@settings(max_examples=80, deadline=None)
@given(config=configs, case=cases, seed=st.integers(0, 9))
def test_repaired_labels_are_probabilities_and_repeatable(
    config: Repair, case: list[tuple[float, float]], seed: int
) -> None:
    features = np.random.default_rng(seed).standard_normal((len(case), 3))
    weak, prior = [w for w, _ in case], [p for _, p in case]
    labels = repaired(config, weak, features, prior, prior[::-1])
    assert labels.shape == (len(case),)
    assert ((labels >= 0) & (labels <= 1)).all()
    assert np.array_equal(labels, repaired(config, weak, features, prior, prior[::-1]))
