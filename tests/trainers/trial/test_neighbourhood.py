"""Neighbours that trials share are those that each would find."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trainers.components.neighbours import nearest
from trainers.trial.neighbourhood import WIDTHS, SharedNeighbours

FEATURES = np.random.default_rng(0).integers(-2, 3, size=(90, 3)).astype(np.float64)  # with many ties


class Store:
    """A store that counts what was computed."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}

    def __call__(self, name: str, compute: Callable[[], Any], /) -> Any:
        if name not in self.arrays:
            self.arrays[name] = compute()
            self.arrays[name].setflags(write=False)
        return self.arrays[name]


@pytest.mark.parametrize("count", [1, 5, 20, 21, 64, 200])
def test_they_are_those_of_a_search_of_ones_own(count: int) -> None:
    found = SharedNeighbours(lambda: FEATURES, Store())(count)
    for ours, own in zip(found, nearest(FEATURES, count), strict=True):
        assert ours.dtype == own.dtype
        assert np.array_equal(ours, own)


def test_many_trials_search_once() -> None:
    store = Store()
    workers = [SharedNeighbours(lambda: FEATURES, store) for _ in range(3)]
    for worker in workers:
        for count in (10, 15, 3):
            worker(count)
    assert list(store.arrays) == ["neighbours 20"]


def test_a_wider_search_answers_narrower_ones_too() -> None:
    store = Store()
    worker = SharedNeighbours(lambda: FEATURES, store)
    for count in (30, 8, 64, 150, 8):
        indices, similarities = worker(count)
        assert indices.shape == similarities.shape == (90, min(count, 89))
    assert list(store.arrays) == ["neighbours 64", "neighbours 200"]


def test_what_is_held_grows_with_examples_and_neighbours_alone() -> None:
    store = Store()
    SharedNeighbours(lambda: np.random.default_rng(0).standard_normal((500, 8)), store)(WIDTHS[0])
    assert store.arrays["neighbours 20"].nbytes == 8 * 500 * 20


def test_a_lone_example_has_none() -> None:
    indices, similarities = SharedNeighbours(lambda: np.ones((1, 2)), Store())(5)
    assert indices.shape == similarities.shape == (1, 0)
