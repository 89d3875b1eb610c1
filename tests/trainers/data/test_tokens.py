from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from trainers.data.dataset import load_task
from trainers.data.examples import Examples
from trainers.data.settings import DatasetTask, PairFields, SplitSizes
from trainers.data.tokens import Tokens, bucket, length_batches, padding_share, sorted_batches, tokenize
from trainers.models.toy_model import toy_tokenizer


@pytest.fixture(scope="module")
def bert(minilm: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(minilm)


@pytest.fixture(scope="module")
def llama(shared: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(shared / "models/stories260K")


def texts_of(tokens: Tokens, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    return [str(tokenizer.decode(row)) for row in np.split(tokens.ids, tokens.offsets[1:-1])]


def sizes(batches: list[np.ndarray]) -> list[int]:
    return [len(batch) for batch in batches]


ROWS = Tokens(
    ids=np.array([5, 6, 7, 8, 9, 10], dtype=np.int32), offsets=np.array([0, 3, 4, 6], dtype=np.int64)
)


def test_rows_and_lengths() -> None:
    assert len(ROWS) == 3
    assert ROWS.lengths.tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("length", "padded"),
    [(1, 8), (8, 8), (9, 16), (24, 24), (64, 64), (65, 80), (128, 128), (129, 160), (300, 320), (900, 1024)],
)
def test_a_bucket_is_the_next_eighth_of_a_power_of_two(length: int, padded: int) -> None:
    assert bucket(length) == padded


@given(st.integers(1, 100_000))
def test_a_bucket_adds_less_than_a_quarter(length: int) -> None:
    assert length <= bucket(length) < max(length * 1.25, length + 8)
    assert bucket(bucket(length)) == bucket(length)


def test_padding_stands_on_the_right_of_the_rows_asked_for() -> None:
    ids, mask = ROWS.pad_batch(np.array([2, 0]), pad_id=1)
    assert ids.tolist() == [[9, 10, 1], [5, 6, 7]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    ids, mask = ROWS.pad_batch(np.array([1]), pad_id=1)
    assert (ids.tolist(), mask.tolist()) == ([[8]], [[1]])


def test_arrays_are_those_that_processes_share() -> None:
    tokens = tokenize(Examples(texts=("the food was good", "the staff")), toy_tokenizer(), 64)
    assert tokens.ids.dtype == np.int32
    assert tokens.offsets.dtype == np.int64
    assert tokens.offsets.tolist() == [0, 4, 6]


def test_an_encoder_gets_its_own_special_tokens_when_truncated_too(bert: PreTrainedTokenizerBase) -> None:
    examples = Examples(texts=("one two three four five six", "one"))
    assert texts_of(tokenize(examples, bert, 5), bert) == ["[CLS] one two three [SEP]", "[CLS] one [SEP]"]
    assert tokenize(examples, bert, 32).ids.tolist()[:8] == bert(examples.texts[0])["input_ids"]


def test_a_decoder_gets_its_first_token(llama: PreTrainedTokenizerBase) -> None:
    text = "Once upon a time, there was a little girl"
    expected = llama(text)["input_ids"]
    assert expected[0] == llama.bos_token_id
    assert tokenize(Examples(texts=(text,)), llama, 64).ids.tolist() == expected
    assert tokenize(Examples(texts=(text,)), llama, 6).ids.tolist() == expected[:6]


def test_truncation_is_on_the_right_whatever_the_tokenizer_prefers(minilm: Path) -> None:
    left = AutoTokenizer.from_pretrained(minilm, truncation_side="left", padding_side="left")
    (shown,) = texts_of(tokenize(Examples(texts=("one two three four",)), left, 4), left)
    assert shown == "[CLS] one two [SEP]"


# The tokens around the responses: [CLS] response a : response b : the better response is response [SEP].
FRAME = 13


def pair_text(tokenizer: PreTrainedTokenizerBase, room: int, prompt: str, first: str, second: str) -> str:
    examples = Examples(texts=(prompt,), pairs=((first, second),))
    (shown,) = texts_of(tokenize(examples, tokenizer, FRAME + room), tokenizer)
    return shown


@pytest.mark.parametrize(
    ("room", "prompt", "first", "second"),
    [
        (8, "why do we", "one two three", "four five"),  # everything
        (6, "we", "one two three", "four five"),  # the prompt from its left
        (5, "", "one two three", "four five"),
        (4, "", "one two", "four five"),  # then the responses from their right
        (3, "", "one two", "four"),
        (2, "", "one", "four"),
    ],
)
def test_a_pair_shows_both_responses(
    bert: PreTrainedTokenizerBase, room: int, prompt: str, first: str, second: str
) -> None:
    shown = pair_text(bert, room, "why do we", "one two three", "four five")
    start = f"[CLS] {prompt} " if prompt else "[CLS] "
    assert shown == (
        f"{start}response a : {first} response b : {second} the better response is response [SEP]"
    )


def test_a_short_response_leaves_its_room_to_the_other(bert: PreTrainedTokenizerBase) -> None:
    assert "response a : one response b : two three four the" in pair_text(
        bert, 4, "why", "one", "two three four five"
    )
    assert "response a : two three four response b : one the" in pair_text(
        bert, 4, "why", "two three four five", "one"
    )


def test_an_empty_response_keeps_its_place(bert: PreTrainedTokenizerBase) -> None:
    assert "response a : response b : one the" in pair_text(bert, 4, "", "", "one")


def test_no_room_for_two_responses(bert: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ValueError, match="max_length must be at least 15 to show two responses, got 14"):
        pair_text(bert, 1, "", "one", "two")


def test_a_text_without_tokens_is_named(bert: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ValueError, match=r"example 2 of 2 has no tokens within max_length 8: .*'\\u200b'"):
        tokenize(Examples(texts=("one", "\u200b")), bert, 8)
    with pytest.raises(ValueError, match="max_length must be at least 3 to show a token of a text, got 2"):
        tokenize(Examples(texts=("one",)), bert, 2)


def test_real_preferences_fit_with_both_responses(shared: Path, bert: PreTrainedTokenizerBase) -> None:
    path = str(shared / "data/hh_harmless.test.jsonl.gz")
    splits = SplitSizes(weak_train=2, transfer=200, search=2, test=2)
    task = load_task(DatasetTask(path=path, fields=PairFields(), splits=splits))
    tokens = tokenize(task.inputs["transfer"], bert, 64)
    assert int(tokens.lengths.max()) == 64
    for shown in texts_of(tokens, bert):
        assert "response a :" in shown
        assert "response b :" in shown


LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=400).map(lambda xs: np.array(xs, dtype=np.int64))


@given(lengths=LENGTHS, batch_size=st.integers(1, 20), seed=st.integers(0, 2**31))
def test_training_batches_hold_every_row_once(lengths: np.ndarray, batch_size: int, seed: int) -> None:
    batches = length_batches(lengths, batch_size, seed=seed)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(batch) == batch_size for batch in batches) or sorted(sizes(batches))[1:] == [
        batch_size
    ] * (len(batches) - 1)


def test_training_batches_follow_the_seed() -> None:
    lengths = np.arange(100)
    first, again, other = (length_batches(lengths, 8, seed=seed) for seed in (1, 1, [1, 2]))
    assert [b.tolist() for b in first] == [b.tolist() for b in again]
    assert [b.tolist() for b in first] != [b.tolist() for b in other]


def test_training_batches_are_of_like_length_and_in_no_order_of_it() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, size=4096)
    batches = length_batches(lengths, 16, seed=0)
    at_random = np.split(np.random.default_rng(0).permutation(4096), 256)
    assert padding_share(lengths, at_random) > 0.4
    assert padding_share(lengths, batches) < 0.05
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


@given(lengths=LENGTHS, budget=st.integers(1, 300))
def test_evaluation_batches_hold_every_row_once_within_the_budget(lengths: np.ndarray, budget: int) -> None:
    batches = sorted_batches(lengths, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget


def test_evaluation_batches_are_full_and_begin_with_the_longest() -> None:
    batches = sorted_batches(np.array([2, 9, 3, 4, 2]), 8)
    assert [batch.tolist() for batch in batches] == [[1], [3, 2], [0, 4]]


def test_padding_share_by_hand() -> None:
    # Two rows of 3 and 1 fill 4 of 6 positions, a row of 2 fills both of its own: 2 of 8 are padding.
    assert padding_share(ROWS.lengths, [np.array([0, 1]), np.array([2])]) == pytest.approx(2 / 8)
