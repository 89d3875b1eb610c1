from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from trainers.components.repairing.feature_channel import doubts, fit_feature_channel
from trainers.components.repairing.noisy_channel import clean_prior, fit_channel
from trainers.components.staging.relabel import (
    RELABELS,
    Known,
    NoRelabel,
    OutOfFold,
    Posterior,
    relabelled,
)


def known(weak: list[float], student: list[float], targets: list[float] | None = None) -> Known:
    return Known(weak=np.array(weak), targets=np.array(targets or weak), student=np.array(student))


def test_the_posterior_by_hand() -> None:
    """Six sure examples decide the channel: ŷ is right on 2 of 3 of each class. A doubtful one follows it."""
    weak = [0.9, 0.8, 0.3, 0.1, 0.2, 0.7, 0.9]
    student = [1, 1, 1, 0, 0, 0, 0.5]
    labels = relabelled(Posterior(), known(weak, student))
    # The doubtful one's ŷ is 1; its posterior p adds to the counts of its own channel, and settles where
    # p = a/(a + b), a = (2 + p)/(3 + p) and b = (1 + 1 - p)/(3 + 1 - p): p ≈ .6404 (checked below).
    p = float(labels[-1])
    a, b = (2 + p) / (3 + p), (2 - p) / (4 - p)
    assert p == pytest.approx(a / (a + b), abs=1e-4)
    assert 0.6 < p < 0.7
    np.testing.assert_allclose(labels[:6], [1, 1, 1, 0, 0, 0], atol=1e-4)
    assert labels.dtype == np.float32


def test_a_temperature_of_a_half_squares_the_odds() -> None:
    evidence = known([0.9, 0.8, 0.3, 0.1, 0.2, 0.7], [0.8, 0.7, 0.6, 0.3, 0.2, 0.4])
    p = relabelled(Posterior(), evidence).astype(np.float64)
    sharp = relabelled(Posterior(temperature=0.5), evidence)
    np.testing.assert_allclose(sharp, p**2 / (p**2 + (1 - p) ** 2), rtol=1e-4)
    hard = relabelled(Posterior(answer="hard"), evidence)
    assert hard.tolist() == (p > 0.5).tolist()


def test_it_is_the_channel_of_the_repair_with_the_student_as_prior() -> None:
    rng = np.random.default_rng(0)
    weak, student = rng.uniform(size=(2, 200))
    expected = fit_channel(student, weak > 0.5, 50).posterior
    np.testing.assert_allclose(
        relabelled(Posterior(), Known(weak=weak, targets=weak, student=student)), expected, atol=1e-6
    )


def test_by_doubt_it_is_the_channel_per_example_with_the_student_as_prior() -> None:
    rng = np.random.default_rng(0)
    weak, student = rng.uniform(size=(2, 200))
    about = doubts(weak, np.log(student / (1 - student)))
    expected = fit_feature_channel(student, weak > 0.5, about, 50).posterior
    found = relabelled(Posterior(by="doubt"), Known(weak=weak, targets=weak, student=student))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    plain = relabelled(Posterior(), Known(weak=weak, targets=weak, student=student))
    assert np.abs(found - plain).max() > 0.01


def test_a_student_is_stretched_as_the_head_of_the_repair() -> None:
    rng = np.random.default_rng(0)
    weak, student = rng.uniform(size=200), rng.uniform(0.5, 0.7, size=200)
    found = relabelled(Posterior(stretched=True), Known(weak=weak, targets=weak, student=student))
    expected = fit_channel(clean_prior(student), weak > 0.5, 50).posterior
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # All answers prefer class 1, and so do the labels unless the answers are stretched.
    plain = relabelled(Posterior(), Known(weak=weak, targets=weak, student=student))
    assert (plain > 0.5).mean() > 0.7
    assert 0.4 < (found > 0.5).mean() < 0.6


def test_a_student_that_is_right_more_often_corrects_the_supervisor() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(2000) < 0.5
    seen = np.where(rng.random(2000) < 0.3, ~truth, truth)
    logits = rng.normal(np.where(truth, 1.5, -1.5), 1.0)  # independent of the supervisor's mistakes
    student = 1 / (1 + np.exp(-3 * logits))  # the odds that follow from its evidence
    labels = relabelled(Posterior(), Known(weak=seen * 0.8 + 0.1, targets=seen, student=student)) > 0.5
    right = [float((labels == truth).mean()) for labels in (seen, student > 0.5, labels)]
    assert right[0] < 0.75
    assert right[2] > right[0] + 0.1
    assert right[2] >= right[1]


def test_out_of_fold_labels_keep_the_share_of_class_1_of_the_targets() -> None:
    evidence = known([0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.6, 0.7], targets=[1, 0, 0, 0])
    assert relabelled(OutOfFold(), evidence).tolist() == [1, 0, 0, 0]
    soft = relabelled(OutOfFold(answer="soft"), evidence)
    z = np.quantile([0.9, 0.8, 0.6, 0.7], 0.75)  # .825
    odds = np.array([0.9, 0.8, 0.6, 0.7]) / (1 - np.array([0.9, 0.8, 0.6, 0.7])) / (z / (1 - z))
    np.testing.assert_allclose(soft, odds / (1 + odds), rtol=1e-5)
    assert (soft > 0.5).tolist() == [True, False, False, False]


def test_without_relabelling_targets_stay() -> None:
    assert relabelled(NoRelabel(), known([0.9, 0.1], [0.2, 0.3], targets=[1, 0])).tolist() == [1, 0]
    assert (NoRelabel().rounds, NoRelabel().folds) == (0, 1)


@pytest.mark.parametrize("config", [c() for c in RELABELS] + [OutOfFold(answer="soft"), Posterior(folds=3)])
@pytest.mark.parametrize("weak", [[0.5] * 4, [1.0] * 4, [0.0, 1.0, 0.2, 0.6]])
def test_labels_are_probabilities_whatever_the_student_says(config: Any, weak: list[float]) -> None:
    for student in ([0.0] * 4, [1.0] * 4, [0.5] * 4, [0.0, 1.0, 0.3, 0.9]):
        labels = relabelled(config, known(weak, student))
        assert ((labels >= 0) & (labels <= 1)).all()


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"rounds": 4}, {"folds": 5}, {"temperature": 0.1}, {"answer": "both"}]
)
def test_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Posterior.model_validate(wrong)
    with pytest.raises(ValidationError):
        OutOfFold(folds=1)
