from itertools import islice

import numpy as np
import pytest

from trainers.data.toy_text import (
    ALTHOUGH,
    BUT,
    INTENSIFIERS,
    NEGATIONS,
    NEGATIVE,
    POSITIVE,
    RARE,
    TRADE,
    Clause,
    Order,
    Review,
    hasty_verdict,
    reserved_for_pretraining,
    reviews,
    vocabulary,
)


def _clause(subject: str, modifier: str, adjective: str) -> Clause:
    return Clause(subject=subject, verb="was", modifier=modifier, adjective=adjective)


KIND = _clause("staff", "", "kind")
NOT_GOOD = _clause("food", "not", "good")
NEVER_RUDE = _clause("staff", "never", "rude")
VERY_BLAND = _clause("soup", "very", "bland")
QUITE_WARM = _clause("room", "quite", "warm")
FAR_FROM_CLEAN = _clause("bath", "far from", "clean")


def _review(
    order: Order,
    connective: str,
    main: tuple[Clause, ...],
    conceded: tuple[Clause, ...] = (),
    opening: str = "",
) -> Review:
    return Review(opening=opening, main=main, conceded=conceded, order=order, connective=connective)


# Read by a person: what does the writer argue for?
BY_HAND = [
    (_review("plain", "", (KIND,)), "the staff was kind .", 1),
    (_review("plain", "", (NOT_GOOD,)), "the food was not good .", 0),
    (_review("plain", "", (NEVER_RUDE,)), "the staff was never rude .", 1),
    (
        _review("but", "but", (KIND,), (NOT_GOOD,)),
        "the food was not good but the staff was kind .",
        1,
    ),
    (
        _review("but", ", however ,", (FAR_FROM_CLEAN,), (KIND, QUITE_WARM), "honestly ,"),
        "honestly , the staff was kind and the room was quite warm , however , the bath was far from clean .",
        0,
    ),
    (
        _review("although", "although", (VERY_BLAND,), (KIND,)),
        "the soup was very bland although the staff was kind .",
        0,
    ),
    (
        _review("although_first", "even though", (NEVER_RUDE, KIND), (VERY_BLAND,), "on friday"),
        "on friday even though the soup was very bland , the staff was never rude and the staff was kind .",
        1,
    ),
]


@pytest.mark.parametrize(("review", "text", "label"), BY_HAND, ids=[text for _, text, _ in BY_HAND])
def test_text_and_label_of_reviews_read_by_hand(review: Review, text: str, label: int) -> None:
    assert review.text == text
    assert review.prompt == f"{text} verdict :"
    assert review.label == label


def test_the_words_of_praise_and_blame_are_sixty_each_and_distinct() -> None:
    assert len(POSITIVE) == len(NEGATIVE) == 60
    assert len({*POSITIVE, *NEGATIVE}) == 120


def test_every_word_has_one_entry() -> None:
    words = vocabulary()
    assert words == sorted(set(words))
    assert {"far", "from", "anything", "but", "even", "though", "however", ",", ".", "verdict", ":"} <= {
        *words
    }
    assert not any(" " in word for word in words)


def test_main_clauses_agree_and_conceded_ones_disagree_with_the_verdict() -> None:
    drawn = list(islice(reviews(np.random.default_rng(0), pretraining=False), 500))
    for review in drawn:
        assert {clause.positive for clause in review.main} == {review.label == 1}
        assert all(clause.positive != (review.label == 1) for clause in review.conceded)
        assert bool(review.conceded) == (review.order != "plain")
    assert {review.order for review in drawn} == {"plain", "but", "although", "although_first"}
    assert {review.connective for review in drawn} == {"", *BUT, *ALTHOUGH}
    modifiers = {clause.modifier for review in drawn for clause in review.main}
    assert modifiers == {"", *INTENSIFIERS, *NEGATIONS}


def test_no_word_gives_the_verdict_away() -> None:
    """Even the sentiment words, taken alone, are on the wrong side in a good part of the reviews."""
    drawn = list(islice(reviews(np.random.default_rng(1), pretraining=False), 4000))
    for words, label in ((POSITIVE, 1), (NEGATIVE, 0)):
        holders = [review.label == label for review in drawn if {*words} & {*review.text.split()}]
        assert 0.55 < np.mean(holders) < 0.8


def test_one_review_in_four_is_reserved_for_pretraining() -> None:
    task = (r.text for r in islice(reviews(np.random.default_rng(2), pretraining=False), 3000))
    pretraining = (r.text for r in islice(reviews(np.random.default_rng(2), pretraining=True), 1000))
    sides = {*task}, {*pretraining}
    assert not sides[0] & sides[1]
    raw = np.random.default_rng(2)
    shares = [reserved_for_pretraining(f"{raw.integers(10**9)}") for _ in range(4000)]
    assert abs(np.mean(shares) - 0.25) < 0.03


def test_each_model_lacks_words_of_both_verdicts_that_the_other_knows() -> None:
    assert not TRADE & RARE
    for words in (TRADE, RARE):
        assert words < {*POSITIVE, *NEGATIVE}
    assert len(TRADE & {*POSITIVE}) == len(TRADE & {*NEGATIVE}) == 16
    assert len(RARE & {*POSITIVE}) > 1.5 * len(RARE & {*NEGATIVE}) > 0


def test_pretraining_leaves_out_trade_words_and_the_task_has_all() -> None:
    rng = np.random.default_rng(3)
    read, asked = (
        frozenset[str]().union(*(r.adjectives for r in islice(reviews(rng, pretraining=pretraining), 3000)))
        for pretraining in (True, False)
    )
    assert read == {*POSITIVE, *NEGATIVE} - TRADE
    assert asked == {*POSITIVE, *NEGATIVE}


def test_a_review_with_rare_words_alone_praises_more_often_than_not() -> None:
    drawn = islice(reviews(np.random.default_rng(4), pretraining=False), 8000)
    labels = [review.label for review in drawn if review.adjectives <= RARE]
    assert 0.54 < np.mean(labels) < 0.7  # 28 of 44 words praise, and a negation reverses one in eight


def test_hasty_readers_err_three_times_in_five_and_only_on_a_closing_concession() -> None:
    rng = np.random.default_rng(0)
    closing = _review("although", "though", (VERY_BLAND,), (KIND,))
    opening = _review("although_first", "though", (VERY_BLAND,), (KIND,))
    assert abs(np.mean([hasty_verdict(closing, rng) for _ in range(2000)]) - 0.6) < 0.05
    assert {hasty_verdict(opening, rng) for _ in range(200)} == {0}
    assert {hasty_verdict(_review("plain", "", (KIND,)), rng) for _ in range(200)} == {1}
