import numpy as np
import pytest
import torch

from trainers.data.tokens import Tokens
from trainers.training.inputs import FeatureInputs, SomeInputs, TokenInputs

TOKENS = Tokens(
    ids=np.array([11, 21, 22, 23, 31, 32], dtype=np.int32), offsets=np.array([0, 1, 4, 6], dtype=np.int64)
)


def test_token_rows_are_padded_to_the_longest_of_their_batch() -> None:
    inputs = TokenInputs(tokens=TOKENS, pad_id=9)
    assert inputs.lengths.tolist() == [1, 3, 2]
    ids, mask = inputs.batch(np.array([2, 0]))
    assert ids.tolist() == [[31, 32], [11, 9]]
    assert mask.tolist() == [[1, 1], [1, 0]]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.int64)
    ids, _ = inputs.batch(np.array([0, 1, 0]))  # a row may come twice
    assert ids.tolist() == [[11, 9, 9], [21, 22, 23], [11, 9, 9]]


def test_features_are_examples_of_length_one() -> None:
    features = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    inputs = FeatureInputs(features=features)
    assert inputs.lengths.tolist() == [1, 1, 1]
    assert inputs.lengths.dtype == np.int64
    (batch,) = inputs.batch(np.array([2, 0, 2]))
    assert batch.tolist() == [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    "inputs", [TokenInputs(tokens=TOKENS, pad_id=0), FeatureInputs(features=torch.ones(3, 2))]
)
def test_a_batch_is_what_a_model_is_called_with(inputs: TokenInputs | FeatureInputs) -> None:
    assert all(len(argument) == 2 for argument in inputs.batch(np.array([0, 1])))


def test_some_of_the_examples_are_those_rows() -> None:
    some = SomeInputs(inputs=TokenInputs(tokens=TOKENS, pad_id=9), rows=np.array([2, 0]))
    assert some.lengths.tolist() == [2, 1]
    ids, mask = some.batch(np.array([1, 0]))
    assert ids.tolist() == [[11, 9], [31, 32]]
    assert mask.tolist() == [[1, 0], [1, 1]]
