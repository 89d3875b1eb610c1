from dataclasses import replace

import numpy as np
import pytest

from trainers.data.counts import FileCounts
from trainers.data.examples import Chat
from trainers.data.pool import Pool, distinct, draw, shown
from trainers.data.settings import SplitSizes


def singles(*rows: tuple[str, int]) -> Pool:
    return Pool(
        texts=[text for text, _ in rows],
        pairs=None,
        chats=None,
        labels=np.array([label for _, label in rows], dtype=np.int8),
        groups=[object() for _ in rows],
        sha256=None,
        counts=FileCounts(path="a.csv", rows=len(rows)),
    )


def pairs(*rows: tuple[str, str]) -> Pool:
    pool = singles(*(("q", 0) for _ in rows))
    chats = [Chat(shared=(), first=(("a", better),), second=(("a", worse),)) for better, worse in rows]
    return replace(pool, pairs=list(rows), labels=None, chats=chats)


def test_of_equal_rows_the_first_stays_and_of_contradicting_ones_none() -> None:
    pool = distinct(singles(("a", 0), ("b", 1), ("a", 0), ("c", 0), ("c", 1), ("c", 1), ("b", 1)))
    assert pool.texts == ["a", "b"]
    assert pool.counts == FileCounts(
        path="a.csv", rows=7, duplicates=2, contradictions=1, contradicting_rows=3
    )


def test_every_row_is_counted_once() -> None:
    pool = distinct(pairs(("x", "y"), ("y", "x"), ("z", "z"), ("x", "z"), ("x", "z")))
    assert pool.pairs == [("x", "z")]
    counts = pool.counts
    assert (counts.equal_pairs, counts.contradictions, counts.contradicting_rows) == (1, 1, 2)
    assert counts.duplicates == 1


def test_what_a_test_split_holds_is_counted() -> None:
    pool = distinct(singles(("a", 0), ("b", 1), ("c", 1)))
    left = pool.without(pool.take([1]))
    assert left.texts == ["a", "c"]
    assert left.counts.in_test == 1


def test_too_few_examples_are_told_with_what_was_left_out() -> None:
    pool = distinct(singles(("a", 0), ("a", 1), ("b", 0)))
    sizes = SplitSizes(weak_train=1, transfer=1, search=1, test=1)
    with pytest.raises(
        ValueError, match=r"has 1 distinct ones .* mend the data .of 3 rows left out: 2 contradict"
    ):
        draw(pool, sizes, ("test", "search"), np.random.default_rng(0))


def test_messages_change_places_with_their_responses() -> None:
    examples, second_is_better = shown(pairs(("x", "y"), ("v", "w")), np.random.default_rng(0), None)
    assert sorted(second_is_better.tolist()) == [0, 1]
    assert examples.pairs is not None
    assert examples.chats is not None
    for pair, chat in zip(examples.pairs, examples.chats, strict=True):
        assert (chat.first[0][1], chat.second[0][1]) == pair
