"""Cosine neighbours against angles laid out by hand and a full sort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.components.neighbours import nearest


def at(*degrees: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Vectors of different lengths at these angles."""
    angles = np.radians(degrees)
    lengths = np.arange(1, len(degrees) + 1)[:, None]
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths


def test_neighbours_are_the_closest_in_angle_whatever_their_length() -> None:
    indices, similarities = nearest(at(0, 30, 90, 80), 2)
    # From 0°: 30° and 80°. From 30°: 0° and 80°. From 90°: 80° and 30°. From 80°: 90° and 30°.
    assert indices.tolist() == [[1, 3], [0, 3], [3, 1], [2, 1]]
    # cos 30° = .8660, cos 80° = .1736.
    assert similarities[0].tolist() == pytest.approx([0.866025, 0.173648], abs=1e-6)


def test_ties_go_to_the_lower_index() -> None:
    # Everyone has similarity 1 with everyone.
    indices, _ = nearest(np.ones((5, 3)), 2)
    assert indices.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def test_too_few_others() -> None:
    assert nearest(at(0, 10, 20), 9)[0].tolist() == [[1, 2], [0, 2], [1, 0]]
    assert nearest(at(0), 3)[0].shape == (1, 0)


def test_a_row_of_zeros_is_similar_to_nothing() -> None:
    features = at(0, 10, 20)
    features[2] = 0
    indices, similarities = nearest(features, 2)
    assert indices[2].tolist() == [0, 1]
    assert similarities[2].tolist() == [0, 0]


def test_features_of_any_size_keep_their_angles() -> None:
    # Squares of 1e30 overflow float32.
    assert nearest(at(0, 30, 90, 80) * 1e30, 2)[0].tolist() == [[1, 3], [0, 3], [3, 1], [2, 1]]


@settings(max_examples=40, deadline=None)
@given(total=st.integers(2, 40), count=st.integers(1, 12), cells=st.integers(1, 400), seed=st.integers(0, 99))
def test_blocks_agree_with_a_full_stable_sort(total: int, count: int, cells: int, seed: int) -> None:
    # On a small grid of integer vectors cosines tie often; float64 settles what the order should be.
    features = np.random.default_rng(seed).choice([-1.0, 1.0], size=(total, 4))
    similarity = features @ features.T
    np.fill_diagonal(similarity, -np.inf)
    expected = np.argsort(-similarity, axis=1, kind="stable")[:, : min(count, total - 1)]
    assert np.array_equal(nearest(features, count, block_cells=cells)[0], expected)
