"""Labels made anew from linear functions of features, by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trainers.components.repairing.relabelling import along_mean_difference, cross_fit
from trainers.components.weak_labels import FloatArray


def test_each_round_keeps_the_share_of_class_1_and_fits_the_labels_of_the_last() -> None:
    # A mean of 1/4: the quantile 3/4 of four probabilities lies between the highest two.
    heads = [np.array([0.2, 0.6, 0.5, 0.1]), np.array([0.3, 0.2, 0.4, 0.1])]
    fitted_to = []

    def head(labels: FloatArray, number: int) -> FloatArray:
        fitted_to.append(labels.tolist())
        return heads[number]

    weak = np.array([0.7, 0.1, 0.1, 0.1])
    assert cross_fit(head, weak, 2).tolist() == [0, 0, 1, 0]
    assert fitted_to == [weak.tolist(), [0, 1, 0, 0]]
    assert cross_fit(head, weak, 1).tolist() == [0, 1, 0, 0]


def test_a_label_is_the_side_along_the_difference_of_means() -> None:
    # x = -3, -1, 1, 3 with labels 0, 1, 0, 1: means -1 and 1, so that higher is class 1, and the median is 0.
    features = np.array([[-3.0], [-1.0], [1.0], [3.0]])
    assert along_mean_difference(features, np.array([0.0, 1, 0, 1])).tolist() == [0, 0, 1, 1]
    # Labels 1, 0, 1, 0 point the other way. One of four: the quantile 3/4 of 3, 1, -1, -3 is 1.5.
    assert along_mean_difference(features, np.array([1.0, 0, 1, 0])).tolist() == [1, 1, 0, 0]
    assert along_mean_difference(features, np.array([0.0, 0, 0, 1])).tolist() == [0, 0, 0, 1]


def test_probabilities_weigh_the_means() -> None:
    # x = -1, 1, 1, -1 and its labels .9, .6, .5, 0: the mean of class 1 is (-.9 + .6 + .5)/2 = .1, that of
    # class 0 (-.1 + .4 + .5 - 1)/2 = -.1. Hardened, class 1 would have the mean 0 of -1 and 1, as class 0.
    features = np.array([[-1.0], [1.0], [1.0], [-1.0]])
    assert along_mean_difference(features, np.array([0.9, 0.6, 0.5, 0.0])).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("labels", [np.zeros(3), np.ones(3)])
def test_labels_of_one_class_stay(labels: NDArray[np.float64]) -> None:
    assert along_mean_difference(np.eye(3), labels).tolist() == labels.tolist()


def test_errors_that_do_not_depend_on_the_features_leave_the_direction() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([False, True], 500)
    features = np.where(truth, 1.0, -1.0)[:, None] + rng.standard_normal((1000, 4))
    weak = (truth ^ (rng.random(1000) < 0.3)).astype(float)
    # The best line is right on Φ(√4) = .977 of each class; four standard errors of .005 below it.
    assert ((along_mean_difference(features, weak) > 0.5) == truth).mean() > 0.957
