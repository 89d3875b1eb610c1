"""Signals by hand."""

import numpy as np
import pytest

from tests.trainers.components.unasked import unasked
from trainers.components.signals import entropy_preference, self_confidence, standard_scores
from trainers.components.weak_labels import Evidence


def test_a_weak_label_is_best_neither_certain_nor_a_guess() -> None:
    # H(1/2) = ln 2 is twice the best: exp(-(ln 2)²/2) = .786458. H(w) = ½·ln 2 at w = .110028. H(1) = 0.
    assert entropy_preference(np.array([0.5, 0.110028, 0.889972, 0.0, 1.0])) == pytest.approx(
        [0.786458, 1, 1, 0, 0], abs=1e-5
    )


def test_self_confidence_is_the_probes_in_the_weak_label() -> None:
    # Constant features leave the mean of the others' labels: of w = 1, 1, 1, 0 it is 2/3 for the first three,
    # of whose label it is the probability, and 1 for the last, whose label it contradicts.
    evidence = Evidence(
        weak_probs=np.array([1.0, 1.0, 1.0, 0.0]), features=lambda: np.ones((4, 2)), prior=unasked, seed=3
    )
    assert self_confidence(evidence) == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0], abs=1e-3)


def test_standard_scores_have_mean_0_and_deviation_1_unless_there_is_none() -> None:
    # 1, 2, 3: mean 2, variance 2/3.
    assert standard_scores(np.array([1.0, 2.0, 3.0])) == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    assert standard_scores(np.array([1.0, 1.0 + 1e-5])).tolist() == [0, 0]
