import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from trainers.data.counts import FileCounts
from trainers.data.examples import Chat, SplitName
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
        ValueError,
        match=r"has 1 distinct ones .*: make the splits smaller, or mend the data .of 3 rows left out: 2",
    ):
        draw(pool, sizes, ("test", "search"), np.random.default_rng(0))


ALL: tuple[SplitName, ...] = ("test", "search", "weak_train", "transfer")


def test_splits_that_cannot_be_filled_are_refused_with_the_largest_that_fit() -> None:
    """29 of 60, in proportions 2:2:1:1: with 30 they would be 10, 10, 5 and 5."""
    pool = singles(*((str(i), i % 2) for i in range(29)))
    sizes = SplitSizes(weak_train=20, transfer=20, search=10, test=10)
    fit = "make the splits smaller, such as splits: {weak_train: 9, transfer: 9, search: 4, test: 4}"
    with pytest.raises(ValueError, match=f"{re.escape(fit)}$"):
        draw(pool, sizes, ALL, np.random.default_rng(0))
    # Where the test split has a file of its own, its size stays.
    fit = "such as splits: {weak_train: 11, transfer: 11, search: 5, test: 10}"
    with pytest.raises(ValueError, match=f"{re.escape(fit)}$"):
        draw(pool, sizes, ALL[1:], np.random.default_rng(0))


def test_the_sizes_that_fit_are_those_that_whole_groups_fill() -> None:
    """Four groups of three: a split of four would take two of them, and there is one for each."""
    pool = replace(singles(*((str(i), i % 2) for i in range(12))), groups=[i // 3 for i in range(12)])
    sizes = SplitSizes(weak_train=4, transfer=4, search=4, test=4)
    fit = "such as splits: {weak_train: 3, transfer: 3, search: 3, test: 3}"
    with pytest.raises(ValueError, match=f"in 4 groups that cannot be divided .*{re.escape(fit)}$"):
        draw(pool, sizes, ALL, np.random.default_rng(0))
    draw(pool, SplitSizes(weak_train=3, transfer=3, search=3, test=3), ALL, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_said_to_fit_fits_with_the_same_seed(seed: int) -> None:
    """Groups of 1 to 20, and proportions of any kind."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), rng.integers(1, 21, 60)).tolist()
    pool = replace(singles(*((str(i), i % 2) for i in range(len(groups)))), groups=groups)
    asked = dict(zip(ALL, (len(groups) * rng.dirichlet([3, 3, 3, 3])).astype(int) + 60, strict=True))
    with pytest.raises(ValueError, match="such as splits: ") as refused:
        draw(pool, SplitSizes.model_validate(asked), ALL, np.random.default_rng(seed))
    said = yaml.safe_load(str(refused.value).partition("such as ")[2])["splits"]
    drawn = draw(pool, SplitSizes(**said), ALL, np.random.default_rng(seed))
    assert {name: len(of.texts) for name, of in drawn.items()} == said
    assert sum(said.values()) > len(groups) / 2


def test_messages_change_places_with_their_responses() -> None:
    examples, second_is_better = shown(pairs(("x", "y"), ("v", "w")), np.random.default_rng(0), None)
    assert sorted(second_is_better.tolist()) == [0, 1]
    assert examples.pairs is not None
    assert examples.chats is not None
    for pair, chat in zip(examples.pairs, examples.chats, strict=True):
        assert (chat.first[0][1], chat.second[0][1]) == pair
