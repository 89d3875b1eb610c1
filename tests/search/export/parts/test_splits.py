from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from search.export.parts.splits import Data
from trainers.data.examples import Examples
from trainers.data.tokens import Tokens
from trainers.training.inputs import TokenInputs

PAIRS = Examples(texts=("", ""), pairs=(("one", "three"), ("a", "bb")))


def tokens(examples: Examples) -> Tokens:
    """A token for each letter of the first response: its code."""
    rows = [[ord(letter) for letter in first] for first, _ in examples.pairs or ()]
    offsets = np.cumsum([0, *map(len, rows)])
    return Tokens(ids=np.concatenate(rows).astype(np.int32), offsets=offsets)


class Summing(torch.nn.Module):
    """Features that are the sum of a row's tokens."""

    def features(self, ids: torch.Tensor, mask: torch.Tensor, layer: int) -> torch.Tensor:
        return (ids * mask).sum(dim=1, keepdim=True).float() * layer


def data() -> Data:
    base: Any = SimpleNamespace(
        tokens=tokens, pad_id=0, layer_at=lambda depth: 1, fresh=lambda seed, words: Summing()
    )
    return Data(base, PAIRS)


def sums(*words: str) -> list[list[float]]:
    return [[float(sum(map(ord, word)))] for word in words]


def test_pairs_are_read_in_either_order_or_in_both() -> None:
    both = data().inputs(None, "both")
    assert isinstance(both, TokenInputs)
    assert both.tokens.lengths.tolist() == [3, 1, 5, 2]
    features: Any = data().inputs(2, "both")
    assert features.features.tolist() == [[2 * total] for (total,) in sums("one", "a", "three", "bb")]


def test_evidence_is_the_difference_between_the_orders() -> None:
    shown, swapped = np.array(sums("one", "a")), np.array(sums("three", "bb"))
    assert data().evidence().tolist() == (shown - swapped).tolist()


def test_examples_are_answered_in_as_many_orders_as_asked() -> None:
    assert data().has_pairs
    assert data().asked(None, 1).swapped is None
    assert data().asked(None, 2).swapped is not None
