"""How the rows of a batch pass through a model: in pieces that fit the memory, padded to equal lengths."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.gang import rank, world_size
from trainers.training.deepspeed_engine import Engine
from trainers.training.inputs import Inputs, Rows
from trainers.training.plain_engine import PlainEngine


@dataclass(frozen=True)
class Piece:
    """Places in a batch that pass through the model together; counts: 0 for padding, else 1."""

    places: NDArray[np.int64]
    counts: int


class Passes(Protocol):
    """The passes of a training. micro_batch: the examples that fit the memory if all were the longest."""

    name: str

    def pieces(self, rows: Rows, micro_batch: int) -> list[Piece]:
        """Cut this member's part of a batch."""

    def logits(self, rows: Rows, micro_batch: int) -> torch.Tensor:
        """The model's logits of the rows of a piece, [rows, 2]."""


class PaddedPasses:
    """Rows side by side, each padded to the longest."""

    def __init__(self, engine: Engine | PlainEngine, inputs: Inputs, batch_size: int) -> None:
        self._engine, self._inputs = engine, inputs
        self._share = -(-batch_size // world_size())
        self.name = ", compiled" if engine.compiled else ""

    def pieces(self, rows: Rows, micro_batch: int) -> list[Piece]:
        """In as many pieces as every other member's part."""
        return even_pieces(len(rows), micro_batch)

    def logits(self, rows: Rows, micro_batch: int) -> torch.Tensor:
        """See Passes."""
        largest = -(-self._share // -(-self._share // micro_batch))
        fill = largest if self._engine.compiled else None
        return self._engine.forward(*self._inputs.batch(rows, fill))[: len(rows)]


def even_pieces(size: int, micro_batch: int) -> list[Piece]:
    """The member's part of a batch, in as many pieces as every other member's.

    Members run collective operations together, so a member without examples left passes the first example
    through with weight 0.
    """
    shares = np.array_split(np.arange(size), world_size())
    count = -(-len(shares[0]) // micro_batch)  # the first share is the largest
    cut = np.array_split(shares[rank()], count)
    return [Piece(places, 1) if len(places) else Piece(np.zeros(1, dtype=np.int64), 0) for places in cut]
