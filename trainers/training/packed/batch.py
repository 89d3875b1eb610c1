"""Batches without padding: the tokens of some texts, laid end to end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.data.tokens import Tokens

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Texts that are laid end to end, and after them padding, as one more text, and texts of no tokens.

    ids: int64 [positions]. places: int64 [positions], each token's in its own text. bounds: int64
    [texts + 2], where texts and the padding begin and end. last: int64 [texts], the last position of each.
    """

    ids: NDArray[np.int64]
    places: NDArray[np.int64]
    bounds: NDArray[np.int64]
    last: NDArray[np.int64]

    @property
    def flat(self) -> NDArray[np.int64]:
        """All of them in one piece, int64 [2 · positions + 2 · texts + 2], which a GPU gets by one copy."""
        return np.concatenate([self.ids, self.places, self.bounds, self.last])


def parts(flat: torch.Tensor, texts: int) -> tuple[torch.Tensor, ...]:
    """What a `Packed.flat` of so many texts was made of: (ids, places, bounds, last)."""
    positions = (len(flat) - 2 * texts - 2) // 2
    return torch.split(flat, [positions, positions, texts + 2, texts])


def packed(tokens: Tokens, rows: Rows, *, pad_id: int, positions: int = 0, texts: int = 0) -> Packed:
    """These rows, laid end to end.

    positions, texts: how many there are in all, so that batches have few shapes; no fewer than the rows have.
    """
    starts = tokens.offsets[rows]
    ends = np.cumsum(tokens.offsets[np.asarray(rows) + 1] - starts)
    lengths, total = np.diff(ends, prepend=0), int(ends[-1])
    everywhere = np.arange(max(total, positions), dtype=np.int64)
    places = everywhere - np.repeat(
        np.append(ends - lengths, total), np.append(lengths, len(everywhere) - total)
    )
    ids = np.full(len(everywhere), pad_id, dtype=np.int64)
    ids[:total] = tokens.ids[np.repeat(starts, lengths) + places[:total]]
    empty = max(0, texts - len(rows))
    return Packed(
        ids=ids,
        places=places,
        bounds=np.concatenate([[0], ends, np.full(empty + 1, len(everywhere))]),
        last=np.concatenate([ends - 1, np.zeros(empty, dtype=np.int64)]),
    )


def cut(lengths: Sequence[int] | NDArray[np.int64], most: int) -> Iterator[Rows]:
    """The places of texts of these lengths, in runs of at most `most` tokens, or of a single longer text."""
    run: list[int] = []
    tokens = 0
    for place, length in enumerate(lengths):
        if run and tokens + length > most:
            yield np.array(run)
            run, tokens = [], 0
        run.append(place)
        tokens += int(length)
    if run:
        yield np.array(run)
