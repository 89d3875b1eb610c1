"""Signals against values worked out by hand; only those that are named are computed."""

import numpy as np
import pytest

from tests.trainers.components.unasked import unasked
from trainers.components.formulas.evidence import (
    COMPUTED,
    NEIGHBOURS,
    SAYS,
    TRIED_ON,
    random_signals,
    signals_of,
)
from trainers.components.probing import cross_fitted_probs
from trainers.components.weak_labels import Evidence

WEAK = np.array([0.9, 0.2, 0.6])


def test_neighbours_look_at_the_others() -> None:
    # Of three examples in one direction each has the two others as neighbours, at cosine 1.
    evidence = Evidence(weak_probs=WEAK, features=lambda: np.ones((3, 2)), prior=unasked, seed=3)
    found = signals_of(evidence, ["neighbours", "agreement", "density"])
    assert found["neighbours"].tolist() == pytest.approx([0.4, 0.75, 0.55])
    assert found["agreement"].tolist() == [0.5, 0, 0.5]
    assert found["density"].tolist() == pytest.approx([1, 1, 1])


def test_the_probe_is_cross_fitted_with_the_seed() -> None:
    features = np.random.default_rng(0).standard_normal((40, 3))
    weak = 1 / (1 + np.exp(-features[:, 0]))
    evidence = Evidence(weak_probs=weak, features=lambda: features, prior=unasked, seed=3)
    assert signals_of(evidence, ["probe"])["probe"].tolist() == cross_fitted_probs(features, weak, 3).tolist()


def test_a_lone_example_has_every_signal() -> None:
    evidence = Evidence(
        weak_probs=WEAK[:1],
        features=lambda: np.ones((1, 2)),
        prior=lambda: WEAK[:1],
        spread=lambda: np.array([0.25]),
        seed=3,
    )
    found = {name: values.tolist() for name, values in signals_of(evidence, COMPUTED).items()}
    assert found == {
        "w": [0.9],
        "probe": [0.5],
        "neighbours": [0.9],
        "agreement": [1],
        "density": [0],
        "prior": [0.9],
        "spread": [0.25],
    }


def test_nothing_is_computed_that_is_not_named() -> None:
    evidence = Evidence(weak_probs=WEAK, features=unasked, prior=unasked, seed=3)
    assert signals_of(evidence, ["w", "a"])["w"].tolist() == WEAK.tolist()
    prior = Evidence(weak_probs=WEAK, features=unasked, prior=lambda: WEAK, seed=3)
    assert list(signals_of(prior, ["prior"])) == ["prior"]


def test_a_prior_that_is_no_probability_is_named() -> None:
    evidence = Evidence(weak_probs=WEAK, features=unasked, prior=lambda: WEAK + 1, seed=3)
    with pytest.raises(ValueError, match=r"evidence.prior\(\) must lie in \[0, 1\], got 1.9 for example 0"):
        signals_of(evidence, ["prior"])


def test_every_signal_is_explained_and_drawn_at_random() -> None:
    assert list(SAYS) == list(COMPUTED)
    drawn = random_signals()
    assert set(drawn) == {*COMPUTED, "t"}
    assert {len(values) for values in drawn.values()} == {TRIED_ON}
    assert set(random_signals(hard=True)["w"]) == {0, 1}
    assert {0.0, 0.5, 1.0} <= set(drawn["w"])
    assert NEIGHBOURS == 10
