"""Shares of labels by hand; only what was asked for is computed."""

from typing import Any

import numpy as np
import pytest

from tests.trainers.components.unasked import unasked
from trainers.components.probing import cross_fitted_probs
from trainers.components.weak_labels import Evidence
from trainers.trial.label_quality import EvidenceUse, label_quality

WEAK = np.array([0.9, 0.2, 0.6, 0.5])
TARGETS = np.array([1.0, 0.8, 0.3, 0.1])


def evidence(**known: Any) -> Evidence:
    given: dict[str, Any] = {"features": unasked, "consistency": unasked}
    return Evidence(weak_probs=WEAK, prior=unasked, seed=3, **given | known)


def test_sides_are_compared_with_those_of_weak_labels() -> None:
    # Sides 1, 1, 0, 0; of weak labels 1, 0, 1, 0, a tie being class 0.
    found = label_quality(TARGETS, evidence(), probe=False, consistency=False)
    assert (found.kept, found.balance, found.predictable, found.consistent) == (0.5, 0.5, None, None)


def test_a_consistent_probe_has_the_sign_that_most_labels_agree_with() -> None:
    # It says 0, 0, 1, 0, so turned round 1, 1, 0, 1: three of four sides.
    probe = np.array([0.3, 0.4, 0.9, 0.2])
    found = label_quality(TARGETS, evidence(consistency=lambda: probe), probe=False, consistency=True)
    assert found.consistent == 0.75


def test_labels_that_follow_features_are_predictable_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((200, 3))
    weak = rng.random(200)
    known = Evidence(weak_probs=weak, features=lambda: features, prior=unasked, seed=3)
    by_features, by_chance = (
        label_quality(targets, known, probe=True, consistency=False).predictable
        for targets in (1.0 * (features[:, 0] > 0), weak)
    )
    assert by_features is not None
    assert by_chance is not None
    assert by_features > 0.9 > 0.65 > by_chance
    sides = (weak > 0.5).astype(np.float64)
    said = cross_fitted_probs(features, sides, 3) > 0.5
    assert by_chance == pytest.approx((said == (weak > 0.5)).mean())


def test_what_is_asked_of_the_evidence_is_noted() -> None:
    asked = EvidenceUse()
    watched = asked.watching(evidence(features=lambda: np.ones((4, 2))))
    assert asked.names == set()
    assert watched.with_probs(TARGETS).features().shape == (4, 2)
    assert asked.names == {"features"}
    assert watched.nearest is None
    near = EvidenceUse()
    found = near.watching(evidence(nearest=lambda k: (np.zeros((4, k)), np.zeros((4, k))))).nearest
    assert found is not None
    assert found(2)[0].shape == (4, 2)
    assert near.names == {"nearest"}
