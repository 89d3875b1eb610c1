import math

import numpy as np
import pytest

from trainers.data.tokens import Tokens
from trainers.models.tf_idf import TfIdf


def tokens(*rows: list[int]) -> Tokens:
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Tokens(ids=np.array([i for row in rows for i in row], dtype=np.int32), offsets=offsets)


def test_rare_tokens_weigh_more_and_texts_have_length_one() -> None:
    learnt = tokens([5, 9], [5, 7, 7])  # token 5 in both texts, 7 and 9 in one each
    counted = TfIdf(learnt)
    assert counted.size == 3
    common, rare = math.log(3 / 3) + 1, math.log(3 / 2) + 1
    length = math.hypot(common, rare)
    expected = [[common / length, 0, rare / length], [common / length, rare / length, 0]]
    np.testing.assert_allclose(counted.vectors(learnt), expected, rtol=1e-6)


def test_only_tokens_that_were_learnt_count() -> None:
    counted = TfIdf(tokens([5, 9], [5, 7]))
    # Unknown tokens lie below, between and above the known ones.
    found = counted.vectors(tokens([1, 6, 8, 99], [9, 99]))
    np.testing.assert_allclose(found, [[0, 0, 0], [0, 0, 1]])
    assert found.numpy().dtype == np.float32


def test_weights_come_from_the_texts_it_was_made_from_alone() -> None:
    counted = TfIdf(tokens([1, 2], [1]))
    alone = counted.vectors(tokens([1, 2]))
    among_others = counted.vectors(tokens([1, 2], [2], [2]))
    np.testing.assert_array_equal(alone[0], among_others[0])
    assert alone[0, 1] / alone[0, 0] == pytest.approx(math.log(3 / 2) + 1)
