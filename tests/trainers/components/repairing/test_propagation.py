"""Labels spread over graphs whose inverse is worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainers.components.neighbours import nearest
from trainers.components.repairing.propagation import propagated, similarity_graph, spread


def at(*degrees: float) -> NDArray[np.float64]:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_a_chain_of_three_is_a_graph_of_two_edges() -> None:
    # At 0°, 60°, 120° with one neighbour each: the edges 0-1 and 1-2 of weight 1/2, degrees 1/2, 1, 1/2, so
    # both entries are 1/2 / sqrt(1/2 · 1) = 1/sqrt(2).
    root = 1 / math.sqrt(2)
    expected = np.array([[0, root, 0], [root, 0, root], [0, root, 0]])
    assert similarity_graph(nearest(at(0, 60, 120), 1)).toarray() == pytest.approx(expected)


def test_what_points_away_is_no_neighbour() -> None:
    assert similarity_graph(nearest(at(0, 180), 1)).toarray() == pytest.approx(np.zeros((2, 2)))


def test_labels_spread_over_a_pair() -> None:
    # S = [[0, 1], [1, 0]]: (I - S/2)^-1 = 4/3 · [[1, 1/2], [1/2, 1]].
    graph = similarity_graph(nearest(at(0, 40), 1))
    assert spread(graph, np.array([1.0, 0.0]), 0.5) == pytest.approx([4 / 3, 2 / 3])
    # Of what arrives at the first, 4/3 is class 1 and 2/3 class 0.
    assert propagated(nearest(at(0, 40), 1), np.array([1.0, 0.0]), 0.5) == pytest.approx([2 / 3, 1 / 3])


def test_labels_spread_over_a_chain() -> None:
    # I - S/2 with a = 1/(2·sqrt(2)): its inverse is [[7/8, a, 1/8], [a, 1, a], [1/8, a, 7/8]] / (3/4). Class
    # 1 starts at the first alone: its shares are 7/8/(1 + a), a/(1 + 2a), 1/8/(1 + a).
    a = 1 / (2 * math.sqrt(2))
    shares = propagated(nearest(at(0, 60, 120), 1), np.array([1.0, 0.0, 0.0]), 0.5)
    assert shares == pytest.approx([7 / 8 / (1 + a), a / (1 + 2 * a), 1 / 8 / (1 + a)], abs=1e-6)


def test_without_neighbours_labels_stay() -> None:
    assert propagated(nearest(at(0), 5), np.array([0.3]), 0.9) == pytest.approx([0.3])
    apart = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    assert propagated(nearest(apart, 2), np.array([0.2, 0.7, 1.0]), 0.9) == pytest.approx([0.2, 0.7, 1])


@settings(max_examples=40, deadline=None)
@given(total=st.integers(1, 30), k=st.integers(1, 40), alpha=st.floats(0.05, 0.99), seed=st.integers(0, 99))
def test_it_agrees_with_a_dense_inverse(total: int, k: int, alpha: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, probs = rng.standard_normal((total, 3)), rng.random(total)
    graph = similarity_graph(nearest(features, k)).toarray()
    assert graph == pytest.approx(graph.T)
    assert np.abs(np.linalg.eigvalsh(graph)).max() <= 1 + 1e-9
    whole = np.linalg.inv(np.eye(total) - alpha * graph)
    expected = whole @ probs / whole.sum(axis=1)
    assert propagated(nearest(features, k), probs, alpha) == pytest.approx(expected, abs=1e-4)


def test_the_graph_has_room_for_its_edges_alone() -> None:
    graph = similarity_graph(nearest(np.random.default_rng(0).standard_normal((500, 8)), 15))
    assert graph.nnz <= 2 * 15 * 500
