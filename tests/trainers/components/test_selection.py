"""Every selection component against choices worked out by hand, and against what all of them promise."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.trainers.components.unasked import unasked
from trainers.components.selection import (
    Agreement,
    All,
    Confidence,
    Curriculum,
    Disagreement,
    OverlapDensity,
    Selection,
    SmallLoss,
    plan,
    small_loss_weights,
)
from trainers.components.signals import entropy_preference
from trainers.components.weak_labels import Evidence


def evidence(
    weak: list[float],
    features: NDArray[np.float64] | None = None,
    consistency: list[float] | None = None,
) -> Evidence:
    return Evidence(
        weak_probs=np.array(weak),
        features=unasked if features is None else lambda: features,
        prior=unasked,
        consistency=unasked if consistency is None else lambda: np.array(consistency),
        seed=3,
    )


def weights(config: Selection, given_evidence: Evidence, targets: list[float] | None = None) -> list[float]:
    """The weights of the only phase; targets are the weak probabilities unless given."""
    chosen = given_evidence.weak_probs if targets is None else np.array(targets)
    (phase,) = plan(config, given_evidence, chosen).phases
    assert phase.start == 0
    assert phase.lr_scale == 1
    return list(phase.weights.tolist())


def test_all_keeps_everything() -> None:
    assert weights(All(), evidence([0.1, 0.5])) == [1, 1]


def test_confidence_keeps_the_share_farthest_from_one_half() -> None:
    # |w-.5| = .4, .1, .25, 0, .5; half of 5 rounds half up to 3: the fifth, first and third.
    weak = evidence([0.9, 0.6, 0.25, 0.5, 0.0])
    assert weights(Confidence(share=0.5), weak) == [1, 0, 1, 0, 1]
    assert weights(Confidence(share=1), weak) == [1] * 5
    assert weights(Confidence(share=0.01), weak) == [0, 0, 0, 0, 1]


def test_confidence_breaks_ties_by_index() -> None:
    assert weights(Confidence(share=0.5), evidence([1.0, 0.0, 1.0, 0.0])) == [1, 1, 0, 0]
    # 100 of (1, .7, .7, 1): the two surest kinds take 200, then the first 100 of the others follow.
    many = weights(Confidence(share=0.75), evidence([1.0, 0.7, 0.7, 1.0] * 100))
    assert many == [1] * 200 + [1, 0, 0, 1] * 50


def test_confidence_balanced_keeps_as_many_of_each_class() -> None:
    # The four most confident are of class 1 (.99 .. .96); two are kept, and the two best of class 0.
    weak = evidence([0.99, 0.98, 0.97, 0.96, 0.3, 0.1, 0.4, 0.2])
    assert weights(Confidence(share=0.5), weak) == [1, 1, 1, 1, 0, 0, 0, 0]
    assert weights(Confidence(share=0.5, balanced=True), weak) == [1, 1, 0, 0, 0, 1, 0, 1]


def test_graded_weights_rise_with_the_rank_and_have_a_mean_of_one() -> None:
    # Kept .9, .75 and 0 with |w-.5| = .4, .25, .5: ranks 2, 1, 3 of three, weights i/2.
    weak = evidence([0.9, 0.6, 0.75, 0.5, 0.0])
    assert weights(Confidence(share=0.5, weights="graded"), weak) == [1, 0, 0.5, 0, 1.5]
    # In balance each class has its own ranks: of two kept, weights 2/3 and 4/3.
    both = evidence([0.99, 0.98, 0.97, 0.3, 0.1])
    graded = weights(Confidence(share=0.8, balanced=True, weights="graded"), both)
    assert graded == pytest.approx([4 / 3, 2 / 3, 0, 2 / 3, 4 / 3])
    assert weights(Confidence(share=1, weights="graded"), evidence([0.9] * 3)) == [1.5, 1, 0.5]


def test_overlap_density_grades_by_its_score() -> None:
    # As the features are alike and so are the classes, the entropy alone decides.
    weak = [0.9, 0.95, 0.99]
    ranks = np.argsort(np.argsort(entropy_preference(np.array(weak))))
    graded = weights(OverlapDensity(share=1, k=2, weights="graded"), evidence(weak, np.ones((3, 2))))
    assert graded == pytest.approx((ranks + 1) / 2)


def test_confidence_balances_the_classes_of_the_targets() -> None:
    # The label component turned the first two around: they are class 0 now, the others class 1.
    weak = evidence([0.9, 0.8, 0.7, 0.6])
    assert weights(Confidence(share=0.5, balanced=True), weak, [0.0, 0.5, 1.0, 1.0]) == [1, 0, 1, 0]


def test_confidence_balanced_in_the_corners() -> None:
    # Of an odd quota, 3 of 6, class 0 gets two.
    six = evidence([0.9, 0.8, 0.7, 0.1, 0.2, 0.3])
    assert weights(Confidence(share=0.5, balanced=True), six) == [1, 0, 0, 1, 1, 0]
    # A quota of 1 still means one of each class.
    assert weights(Confidence(share=0.01, balanced=True), six) == [1, 0, 0, 1, 0, 0]
    # One example of class 0 is all that it can give; class 1 stays at its half of 4.
    lopsided = evidence([0.9, 0.8, 0.7, 0.6, 0.4])
    assert weights(Confidence(share=0.8, balanced=True), lopsided) == [1, 1, 0, 0, 1]
    # A single class gets the whole quota.
    assert weights(Confidence(share=0.5, balanced=True), evidence([0.9, 0.8, 0.7, 0.6])) == [1, 1, 0, 0]


def separated(labels: list[bool]) -> NDArray[np.float64]:
    """Features that tell the classes apart at a glance, with a little spread."""
    sides = np.where(labels, 1.0, -1.0)
    return np.stack([sides, 0.1 * np.cos(np.arange(len(labels)))], axis=1)


def test_disagreement_drops_the_labels_that_the_features_contradict() -> None:
    truth = [True, False] * 10
    weak = [0.9 if label else 0.1 for label in truth]
    weak[4], weak[11] = 0.1, 0.9  # class 1 called 0, class 0 called 1
    kept = weights(Disagreement(share=0.1), evidence(weak, separated(truth)))
    assert [i for i, weight in enumerate(kept) if weight == 0] == [4, 11]


def test_disagreement_is_with_the_label_and_not_with_its_doubt() -> None:
    # A sure probe differs most from doubtful labels, which are right here; one is wrong.
    truth = [True, False] * 10
    weak = [0.55 if label else 0.45 for label in truth]
    weak[4] = 0.45
    kept = weights(Disagreement(share=0.05), evidence(weak, 40 * separated(truth)))
    assert [i for i, weight in enumerate(kept) if weight == 0] == [4]
    sure = [0.99 if label else 0.01 for label in truth]
    sure[4], sure[5] = 0.45, 0.49  # as far from the probe as the other, but right
    kept = weights(Disagreement(share=0.05), evidence(sure, separated(truth)))
    assert [i for i, weight in enumerate(kept) if weight == 0] == [4]


def test_disagreement_keeps_at_least_one() -> None:
    assert weights(Disagreement(share=0.9), evidence([0.3], np.ones((1, 2)))) == [1]
    assert weights(Disagreement(share=0), evidence([0.3, 0.9], np.ones((2, 2)))) == [1, 1]


def test_disagreement_on_two_examples_by_hand() -> None:
    # Constant features leave the intercept: each is predicted as a mean of others' labels. Of w = 1, 1, 1, 0
    # the last is predicted as (nearly) 1 and differs by 1, the others by 1/3 and go by index.
    kept = weights(Disagreement(share=0.25), evidence([1.0, 1.0, 1.0, 0.0], np.ones((4, 2))))
    assert kept == [1, 1, 1, 0]


def test_overlap_density_drops_a_label_that_the_probe_is_sure_is_wrong() -> None:
    # On a line, so that neighbours are alike but for their side. All others are neighbours: of each of
    # class 0, seven of 13 agree, and on either side the mean similarity is (6 - 7)/13. Among class 0 the
    # probe is surest of the last, far out on the other side: sure that it is class 1.
    lengths = np.array([1.0] * 6 + [-1.0] * 7 + [3.0])
    weak = [0.9] * 6 + [0.1] * 8
    kept = weights(OverlapDensity(share=7 / 8, k=13), evidence(weak, lengths[:, None] * [1.0, 0.0]))
    assert kept[13] == 0
    assert sum(kept) == 12


def test_overlap_density_adds_the_entropy_preference() -> None:
    # Equal features but for sign: a probe tells a class's examples apart by their fold alone, by chance. Of
    # four examples the last two have the best entropy, the first two are guesses.
    weak = [0.5001, 0.5001, 0.89, 0.89] * 50 + [0.4999, 0.4999, 0.11, 0.11] * 50
    features = np.array([1.0] * 200 + [-1.0] * 200)[:, None] * [1.0, 0.0]
    kept = weights(OverlapDensity(share=0.5, k=200), evidence(weak, features))
    best = np.tile([False, False, True, True], 100)
    assert np.mean(np.array(kept)[best]) > 0.75


def test_overlap_density_takes_the_agreeing_crowd_of_each_class() -> None:
    # Two tight crowds of five and, of each class, one outlier with its label against its neighbourhood.
    angles = np.radians([0, 1, 2, 3, 4, 45, 90, 91, 92, 93, 94, 50])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    weak = [0.9] * 5 + [0.1] + [0.1] * 5 + [0.9]
    kept = weights(OverlapDensity(share=10 / 12, k=3), evidence(weak, features))
    assert kept == [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0]


def test_overlap_density_prefers_what_the_probe_is_sure_of() -> None:
    # Two directions: similarity and agreement are 1 for all, only the length tells examples apart.
    lengths = np.array([1.0, 2.0, 9.0, 1.5, 2.5, 8.0])
    features = np.concatenate([lengths, -lengths])[:, None] * [1.0, 0.0]
    kept = weights(OverlapDensity(share=1 / 3, k=3), evidence([0.9] * 6 + [0.1] * 6, features))
    assert kept == [0, 0, 1, 0, 0, 1] * 2


def test_overlap_density_prefers_agreeing_neighbours() -> None:
    # Two points, six examples on each: no difference in density. The third has the label of the other six,
    # so that its agreement is 0 and its mates' 4/5. Trained without it the probe is all the surer of it.
    features = np.repeat([[1.0, 0.0], [-1.0, 0.0]], 6, axis=0)
    weak = [0.9, 0.9, 0.1, 0.9, 0.9, 0.9] + [0.1] * 6
    kept = weights(OverlapDensity(share=11 / 12, k=5), evidence(weak, features), [1.0] * 12)
    assert [i for i, weight in enumerate(kept) if weight == 0] == [2]


def test_overlap_density_prefers_dense_regions() -> None:
    # One label for all: the probe has nothing to tell apart and everyone agrees. The crowd is within 4°.
    angles = np.radians([60, 120, 180, 0, 1, 2, 3, 4])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert weights(OverlapDensity(share=5 / 8, k=2), evidence([0.9] * 8, features)) == [0] * 3 + [1] * 5


def test_overlap_density_without_differences_goes_by_index() -> None:
    # Equal features and one class: confidence, agreement and density are the same for all.
    kept = weights(OverlapDensity(share=0.5, k=2), evidence([0.8] * 4, np.ones((4, 3))))
    assert kept == [1, 1, 0, 0]
    assert weights(OverlapDensity(), evidence([0.8], np.ones((1, 3)))) == [1]


def test_small_loss_drops_more_and_more_over_the_warm_up() -> None:
    chosen = plan(SmallLoss(share=0.6, warmup=0.25), evidence([0.1, 0.9]), np.array([0.0, 1.0]))
    assert chosen.keep_share is not None
    shares = [chosen.keep_share(p) for p in (0.0, 0.125, 0.25, 1.0)]
    assert shares == pytest.approx([1, 0.8, 0.6, 0.6])
    assert chosen.phases[0].weights.tolist() == [1, 1]
    at_once = plan(SmallLoss(share=0.6, warmup=0), evidence([0.1]), np.array([0.0])).keep_share
    assert at_once is not None
    assert at_once(0.0) == pytest.approx(0.6)


def test_small_loss_weights_keep_the_smallest_and_average_over_them() -> None:
    losses = torch.tensor([3.0, 1.0, 2.0, 0.5], requires_grad=True)
    chosen = small_loss_weights(losses, 0.5)
    # Two of four are kept with weight 4/2, so that the batch mean is (1 + .5)/2.
    assert chosen.tolist() == [0, 2, 0, 2]
    assert not chosen.requires_grad
    assert (chosen * losses).mean().item() == 0.75


def test_small_loss_weights_in_the_corners() -> None:
    assert small_loss_weights(torch.tensor([1.0, 1.0, 1.0]), 0.34).tolist() == [3, 0, 0]
    assert small_loss_weights(torch.tensor([2.0, 1.0]), 0.05).tolist() == [0, 2]
    assert small_loss_weights(torch.tensor([2.0, 1.0]), 1.0).tolist() == [1, 1]
    assert small_loss_weights(torch.tensor([math.nan, 9.0]), 0.5).tolist() == [0, 2]


def test_curriculum_starts_with_the_confident_and_ends_with_all() -> None:
    config = Curriculum(share=0.5, switch=0.4, lr_scale=0.1)
    first, rest = plan(config, evidence([0.6, 0.9, 0.5, 0.0]), np.array([1.0, 1.0, 0.0, 0.0])).phases
    assert (first.start, first.lr_scale, first.weights.tolist()) == (0, 1, [0, 1, 0, 1])
    assert (rest.start, rest.lr_scale, rest.weights.tolist()) == (0.4, 0.1, [1, 1, 1, 1])


def test_agreement_weighs_by_the_surer_where_probe_and_label_agree() -> None:
    # ŷ = 1, 0, 1, 0 and the probe's 1, 0, 0, 0 agree but for the third: max(.9, .6), max(.8, .75),
    # ε·min(.6, .7) and max(.5, .5), for a label of .5 is class 0. With ε = .5 the sum is .9 + .8 + .3 + .5.
    known = evidence([0.9, 0.2, 0.6, 0.5], consistency=[0.6, 0.25, 0.3, 0.5])
    found = weights(Agreement(epsilon=0.5), known)
    assert found == pytest.approx([0.9 * 1.6, 0.8 * 1.6, 0.3 * 1.6, 0.5 * 1.6])
    # Without a share for disagreement the others have mean 1: .9 + .8 + .5 = 2.2.
    assert weights(Agreement(epsilon=0), known) == pytest.approx(
        [0.9 * 3 / 2.2, 0.8 * 3 / 2.2, 0, 0.5 * 3 / 2.2]
    )


def test_agreement_turns_the_probe_round_where_most_labels_contradict_it() -> None:
    turned = evidence([0.9, 0.2, 0.6], consistency=[0.4, 0.75, 0.7])  # one of three agrees
    same = evidence([0.9, 0.2, 0.6], consistency=[0.6, 0.25, 0.3])
    assert weights(Agreement(), turned) == pytest.approx(weights(Agreement(), same))
    assert weights(Agreement(), turned)[2] < 0.2


weak_floats = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
WEIGHTS = ("equal", "graded")
kept_shares = st.floats(0.05, 1)
configs: st.SearchStrategy[Any] = st.one_of(
    st.just(All()),
    st.builds(Confidence, share=kept_shares, balanced=st.booleans(), weights=st.sampled_from(WEIGHTS)),
    st.builds(Disagreement, share=st.floats(0, 0.9)),
    st.builds(OverlapDensity, share=kept_shares, k=st.integers(1, 20), weights=st.sampled_from(WEIGHTS)),
    st.builds(SmallLoss, share=kept_shares, warmup=st.floats(0, 0.95)),
    st.builds(Curriculum, share=kept_shares, switch=st.floats(0.05, 0.95), lr_scale=st.floats(0.01, 1)),
    st.builds(Agreement, epsilon=st.floats(0, 1)),
)


@settings(max_examples=60, deadline=None)
@given(config=configs, weak=st.lists(weak_floats, min_size=1, max_size=12), seed=st.integers(0, 9))
def test_any_plan_can_be_trained_on_and_repeated(config: Selection, weak: list[float], seed: int) -> None:
    features = np.random.default_rng(seed).standard_normal((len(weak), 3))
    given_evidence = evidence(weak, features, weak[::-1])
    chosen, again = (plan(config, given_evidence, given_evidence.weak_probs) for _ in range(2))
    assert chosen.phases[0].start == 0
    for phase, repeated in zip(chosen.phases, again.phases, strict=True):
        assert phase.weights.shape == (len(weak),)
        assert phase.weights.dtype == np.float32
        assert (phase.weights >= 0).all()
        assert phase.weights[phase.weights > 0].mean() == pytest.approx(1)
        assert np.array_equal(phase.weights, repeated.weights)


@given(losses=st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=40), share=st.floats(0.05, 1))
def test_small_loss_weights_prefer_smaller_losses(losses: list[float], share: float) -> None:
    values = torch.tensor(losses)
    chosen = small_loss_weights(values, share)
    kept = chosen > 0
    assert int(kept.sum()) == max(1, math.floor(share * len(losses) + 0.5))
    assert float(chosen.mean()) == pytest.approx(1, rel=1e-5)
    assert kept.all() or values[kept].max() <= values[~kept].min()
