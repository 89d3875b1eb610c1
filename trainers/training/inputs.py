"""The inputs of a model: token sequences, or frozen features."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.data.tokens import Tokens
from trainers.training.deepspeed_engine import on_device

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


class Inputs(Protocol):
    """Examples in the form that a model takes."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens an example, int64 [n]."""

    def batch(self, rows: Rows, fill: int | None = None) -> tuple[torch.Tensor, ...]:
        """The arguments of the model's forward pass for these rows, on the device.

        fill: for compiled code, which wants few shapes: repeat the first row up to so many rows, and pad the
        length to a bucket.
        """


@dataclass(frozen=True, kw_only=True)
class TokenInputs:
    """Token sequences, padded to the longest of a batch."""

    tokens: Tokens
    pad_id: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens an example, int64 [n]."""
        return self.tokens.lengths

    def batch(self, rows: Rows, fill: int | None = None) -> tuple[torch.Tensor, ...]:
        """(input ids, attention mask), int64 [rows, longest]."""
        ids, mask = self.tokens.pad_batch(_filled(rows, fill), self.pad_id, bucketed=fill is not None)
        return on_device(ids), on_device(mask)


@dataclass(frozen=True, kw_only=True)
class FeatureInputs:
    """Frozen features, float32 [n, d]: a probe's examples, all of length one."""

    features: torch.Tensor

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Ones, int64 [n]."""
        return np.ones(len(self.features), dtype=np.int64)

    def batch(self, rows: Rows, fill: int | None = None) -> tuple[torch.Tensor, ...]:
        """(features,), float32 [rows, d]."""
        return (on_device(self.features[torch.from_numpy(_filled(rows, fill))]),)


@dataclass(frozen=True, kw_only=True)
class SomeInputs:
    """Some examples of others, by their rows there."""

    inputs: Inputs
    rows: Rows

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens an example, int64 [n]."""
        return self.inputs.lengths[self.rows]

    def batch(self, rows: Rows, fill: int | None = None) -> tuple[torch.Tensor, ...]:
        """As the others give them."""
        return self.inputs.batch(self.rows[rows], fill)


def _filled(rows: Rows, fill: int | None) -> Rows:
    missing = max(0, (fill or 0) - len(rows))
    return np.concatenate([rows, np.repeat(rows[:1], missing)])
