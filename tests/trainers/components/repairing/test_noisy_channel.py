"""The channel fitted by expectation-maximization, one step by hand and its fixed point."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from trainers.components.repairing.noisy_channel import (
    classify_and_refit,
    clean_prior,
    fit_channel,
    refit_head,
)


def test_one_iteration_by_hand() -> None:
    # Start p(ŷ = y) = 3/4; prior .6 and .4; ŷ = 1, 0.
    # E: r1 = .6·.75/(.6·.75 + .4·.25) = .45/.55 = 9/11; r2 = .4·.25/(.4·.25 + .6·.75) = .1/.55 = 2/11.
    # M: p(1 | y=1) = (9/11)/(9/11 + 2/11) = 9/11; p(1 | y=0) = (2/11)/(2/11 + 9/11) = 2/11.
    # Posterior: .6·9/11 / (.6·9/11 + .4·2/11) = 5.4/6.2; .4·2/11 / (.4·2/11 + .6·9/11) = .8/6.2.
    channel = fit_channel(np.array([0.6, 0.4]), np.array([True, False]), 1)
    assert channel.table.tolist() == [pytest.approx([9 / 11, 2 / 11]), pytest.approx([2 / 11, 9 / 11])]
    assert channel.posterior.tolist() == pytest.approx([5.4 / 6.2, 0.8 / 6.2])


def test_a_certain_prior_recovers_the_confusion_matrix() -> None:
    # Class 0 is read as 1 in 1 of 4 cases, class 1 as 0 in 1 of 5.
    prior = np.array([0.0] * 4 + [1.0] * 5)
    hard = np.array([True, False, False, False, True, True, True, True, False])
    channel = fit_channel(prior, hard, 20)
    assert channel.table == pytest.approx(np.array([[0.75, 0.25], [0.2, 0.8]]), abs=1e-4)
    assert channel.posterior == pytest.approx(prior, abs=1e-4)


def test_likelihood_never_falls_and_leads_to_the_true_channel() -> None:
    rng = np.random.default_rng(0)
    prior = rng.choice([0.05, 0.95], size=20_000)
    truth = rng.random(20_000) < prior
    hard = np.where(truth, rng.random(20_000) < 0.9, rng.random(20_000) < 0.3)
    likelihoods = []
    for iterations in (1, 2, 5, 20, 100):
        table = fit_channel(prior, hard, iterations).table
        seen = hard.astype(int)
        likelihoods.append(float(np.log(prior * table[1, seen] + (1 - prior) * table[0, seen]).sum()))
    assert all(after >= before - 1e-6 for before, after in pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0] + 1
    # 10,000 examples a class: a standard error of at most .005, here four of them.
    assert fit_channel(prior, hard, 100).table == pytest.approx(np.array([[0.7, 0.3], [0.1, 0.9]]), abs=0.02)


def test_a_weak_supervisor_who_is_mostly_wrong_is_read_backwards() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(2_000) < 0.5
    channel = fit_channel(np.where(truth, 0.9, 0.1), ~truth, 100)
    assert ((channel.posterior > 0.5) == truth).all()


def test_a_constant_prior_takes_weak_labels_for_better_than_chance() -> None:
    channel = fit_channel(np.full(4, 0.5), np.array([True, True, False, False]), 10)
    assert (channel.posterior > 0.5).tolist() == [True, True, False, False]


def test_one_class_of_weak_labels_leaves_the_prior() -> None:
    # All ŷ = 1: p(1 | y) = 1 for both classes after one step, so that labels say nothing.
    channel = fit_channel(np.array([0.2, 0.7]), np.array([True, True]), 3)
    assert channel.posterior.tolist() == pytest.approx([0.2, 0.7])


def test_clean_prior_stretches_between_the_anchors() -> None:
    # 101 values from .2 to .7: the 3% and 97% quantiles are the fourth from each end, .215 and .685, so
    # .45 is the centre and .45 + .47/4 = .5675 becomes 3/4.
    noisy = np.linspace(0.2, 0.7, 101)
    clean = clean_prior(np.append(noisy, 0.45))[:101]
    assert clean[[0, 3, 97, 100]] == pytest.approx([0, 0, 1, 1], abs=2e-3)
    assert np.interp(0.5675, noisy, clean) == pytest.approx(0.75, abs=2e-3)
    assert clean[50] == pytest.approx(0.5)


def test_clean_prior_does_not_make_much_of_a_flat_probe() -> None:
    # .5 and .52 lie .0188 apart at the anchors, which counts as .2: .5 + (.52 - .51)/.2 = .55.
    assert clean_prior(np.array([0.5, 0.52])).tolist() == pytest.approx([0.45, 0.55])
    assert clean_prior(np.array([0.7])).tolist() == pytest.approx([0.5])


def test_clean_prior_puts_the_mean_at_one_half() -> None:
    # .5, .6, .7, .9: the 3% and 97% quantiles are .5 + .09·.1 = .509 and .9 - .09·.2 = .882, .373 apart; the
    # mean is .675, and .9 is clipped.
    clean = clean_prior(np.array([0.9, 0.5, 0.7, 0.6]))
    assert clean == pytest.approx([1, 0.5 - 0.175 / 0.373, 0.5 + 0.025 / 0.373, 0.5 - 0.075 / 0.373])


def test_the_head_is_refitted_to_the_posterior() -> None:
    # Weak labels ŷ = 1, 1, 1, 0. The first head says .9, .6, .5, .4: anchors .4 + .09·.1 = .409 and
    # .9 - .09·.3 = .873, .464 apart, mean .6. Stretched, with u = .1/.464: p = 1 (clipped), .5, .5-u, .5-2u.
    # The channel counts p: class 1 has 2 - u of ŷ = 1 and .5 - 2u of ŷ = 0; class 0 has 1 + u and .5 + 2u.
    weak = np.array([0.9, 0.8, 0.7, 0.2])
    heads: Iterator[list[float]] = iter([[0.9, 0.6, 0.5, 0.4], [0.9, 0.3, 0.7, 0.1]])
    fitted_to = []

    def head(targets: np.ndarray) -> np.ndarray:
        fitted_to.append(targets)
        return np.array(next(heads))

    u = 0.1 / 0.464
    one, zero = (2 - u) / (2.5 - 3 * u), (1 + u) / (1.5 + 3 * u)  # p(ŷ = 1 | y = 1), p(ŷ = 1 | y = 0)
    p = np.array([1 - 1e-6, 0.5, 0.5 - u, 0.5 - 2 * u])
    for_1 = p * [one, one, one, 1 - one]
    for_0 = (1 - p) * [zero, zero, zero, 1 - zero]
    second = refit_head(head, weak, 2)
    assert fitted_to[0].tolist() == weak.tolist()
    assert fitted_to[1] == pytest.approx(for_1 / (for_1 + for_0), abs=1e-5)
    # The second head says .9, .3, .7, .1: anchors .118 and .882, .764 apart, mean .5. Stretched: p = 1,
    # .5 - .2/.764, .5 + .2/.764, 0. Class 1 has all of ŷ = 1, 2, and none of ŷ = 0; class 0 has 1 and 1.
    assert second.table == pytest.approx(np.array([[1 / 2, 1 / 2], [0, 1]]), abs=1e-5)
    # Posterior odds of the middle two: p/(1-p) · 1/(1/2).
    a, b = 0.5 - 0.2 / 0.764, 0.5 + 0.2 / 0.764
    assert second.posterior == pytest.approx([1, 2 * a / (1 + a), 2 * b / (1 + b), 0], abs=1e-5)


def test_a_head_is_not_refitted_once_nothing_changes() -> None:
    calls = []

    def head(targets: np.ndarray) -> np.ndarray:
        calls.append(targets)
        return np.array([0.9, 0.1])

    settled = refit_head(head, np.array([0.8, 0.3]), 50)
    assert settled.posterior == pytest.approx([1, 0], abs=1e-5)
    assert len(calls) == 2


def test_a_probe_fitted_to_weak_labels_corrects_them_only_once_it_is_clean() -> None:
    # Labels are right for 3 of 4, and the probe says so: .75 or .25. Taken as the prior, the likelihood is
    # .75·a + .25·b with the best a = 1, b = 0: weak labels are never wrong. Stretched to 1 and 0, a = 3/4.
    truth = np.array([True] * 4 + [False] * 4)
    hard = np.array([True, True, True, False, False, False, False, True])
    probe = np.where(truth, 0.75, 0.25)
    assert ((fit_channel(probe, hard, 200).posterior > 0.5) == hard).all()
    channel = fit_channel(clean_prior(probe), hard, 200)
    assert ((channel.posterior > 0.5) == truth).all()
    assert channel.table == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]), abs=1e-4)


def test_the_head_is_refitted_to_decisions_that_keep_the_share_of_class_1() -> None:
    # ŷ = 1, 1, 0, 0, half of them class 1. The first head says .9, .3, .6, .2. Class 1 has 1.2 of ŷ = 1 and
    # .8 of ŷ = 0: p(1 | 1) = .6; class 0 has .8 and 1.2: p(1 | 0) = .4. Posterior odds: 9·1.5, 3/7·1.5,
    # 1.5/1.5, .25/1.5 = 13.5, .643, 1, .167: the first and the third are the upper half.
    weak = np.array([0.9, 0.8, 0.2, 0.1])
    heads: Iterator[list[float]] = iter([[0.9, 0.3, 0.6, 0.2], [0.8, 0.4, 0.7, 0.1], [0.8, 0.4, 0.7, 0.1]])
    fitted_to = []

    def head(targets: np.ndarray) -> np.ndarray:
        fitted_to.append(targets.tolist())
        return np.array(next(heads))

    first = classify_and_refit(head, weak, 1)
    assert first.table == pytest.approx(np.array([[0.6, 0.4], [0.4, 0.6]]))
    assert first.posterior == pytest.approx([13.5 / 14.5, 9 / 23, 1 / 2, 1 / 7])
    heads = iter([[0.9, 0.3, 0.6, 0.2], [0.8, 0.4, 0.7, 0.1], []])
    fitted_to.clear()
    # The second head leaves the decisions as they are, so that no third is fitted.
    classify_and_refit(head, weak, 9)
    assert fitted_to == [weak.tolist(), [1, 0, 1, 0]]


def test_heads_that_flatten_what_they_are_fitted_to_lose_no_decision() -> None:
    # Each head says 1/2 + (target - 1/2)/10: fitted to the posterior itself, twenty of them leave nothing.
    weak = np.array([1.0, 1.0, 0.0, 0.0])
    posterior = classify_and_refit(lambda targets: 0.5 + (targets - 0.5) / 10, weak, 20).posterior
    assert (posterior > 0.5).tolist() == [True, True, False, False]
    # .55 of class 1 in ŷ = 1: odds 11/9 of the head times 11/9 of the channel.
    assert posterior[0] == pytest.approx(121 / 202)
