"""Examples on which the weak models of a supervisor differ least, by hand."""

import numpy as np

from tests.trainers.components.unasked import unasked
from trainers.components.selecting.spread import Spread, keep_least_spread
from trainers.components.selection import plan
from trainers.components.weak_labels import Evidence

WEAK = np.array([0.9, 0.5, 0.2, 0.7])
EVIDENCE = Evidence(
    weak_probs=WEAK,
    features=unasked,
    prior=unasked,
    spread=lambda: np.array([0.3, 0.0, 0.1, 0.2], dtype=np.float32),
    seed=3,
)


def weights(config: Spread) -> list[float]:
    (phase,) = plan(config, EVIDENCE, WEAK).phases
    return [round(weight, 6) for weight in phase.weights.tolist()]


def test_the_share_with_the_least_spread_is_kept() -> None:
    assert weights(Spread(share=0.5)) == [0, 1, 1, 0]
    assert Spread(share=0.3).kept == 0.3


def test_balanced_keeps_as_many_of_each_class() -> None:
    # Class 1 are the first and the last, of which the last differs less; .5 is class 0.
    assert weights(Spread(share=0.5, balanced=True)) == [0, 1, 0, 1]


def test_graded_weights_rise_as_the_models_differ_less() -> None:
    # Ranks 1 to 4 of 4 by 2/5.
    (phase,) = keep_least_spread(Spread(share=1, weights="graded"), EVIDENCE, WEAK).phases
    assert phase.weights.tolist() == np.float32([0.4, 1.6, 1.2, 0.8]).tolist()
