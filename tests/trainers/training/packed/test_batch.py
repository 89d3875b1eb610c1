from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.data.tokens import Tokens
from trainers.training.packed.batch import cut, packed, parts

TOKENS = Tokens(
    ids=np.array([11, 12, 13, 21, 31, 32], dtype=np.int32), offsets=np.array([0, 3, 4, 6], dtype=np.int64)
)


def test_rows_lie_end_to_end_in_the_order_asked() -> None:
    batch = packed(TOKENS, np.array([2, 0]), pad_id=7)
    assert batch.ids.tolist() == [31, 32, 11, 12, 13]
    assert batch.places.tolist() == [0, 1, 0, 1, 2]
    assert batch.bounds.tolist() == [0, 2, 5, 5]  # no padding, as a text of no tokens
    assert batch.last.tolist() == [1, 4]


def test_padding_is_one_more_text_and_missing_texts_have_no_tokens() -> None:
    batch = packed(TOKENS, np.array([1, 2]), pad_id=7, positions=8, texts=4)
    assert batch.ids.tolist() == [21, 31, 32, 7, 7, 7, 7, 7]
    assert batch.places.tolist() == [0, 0, 1, 0, 1, 2, 3, 4]
    assert batch.bounds.tolist() == [0, 1, 3, 8, 8, 8]
    assert batch.last.tolist() == [0, 2, 0, 0]


def test_a_batch_travels_in_one_piece() -> None:
    batch = packed(TOKENS, np.array([0, 1, 2]), pad_id=7, positions=9, texts=5)
    found = parts(torch.from_numpy(batch.flat), 5)
    wanted = (batch.ids, batch.places, batch.bounds, batch.last)
    assert [part.tolist() for part in found] == [part.tolist() for part in wanted]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 60))
def test_runs_hold_every_text_once_and_no_more_tokens_than_asked(lengths: list[int], most: int) -> None:
    runs = list(cut(lengths, most))
    assert np.concatenate(runs).tolist() == list(range(len(lengths)))
    for run in runs:
        assert len(run) == 1 or sum(lengths[place] for place in run) <= most
    for run, after in pairwise(runs):
        assert sum(lengths[place] for place in run) + lengths[after[0]] > most
