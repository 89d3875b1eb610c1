"""Nearest neighbours in the strong model's frozen features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.components.probing import finite_features
from trainers.components.weak_labels import Evidence, FloatArray, Nearest
from trainers.lazy import torch

BLOCK_CELLS = 8_000_000  # similarities in memory at once: 32 MB in float32


def nearest_of(evidence: Evidence, count: int) -> Nearest:
    """`nearest` of the evidence's features, or what other trials of the campaign have found of the same."""
    known = evidence.nearest
    return nearest(evidence.features(), count) if known is None else known(count)


def nearest(features: FloatArray, count: int, *, block_cells: int = BLOCK_CELLS) -> Nearest:
    """Return each example's nearest others by cosine and their similarities: int64, float32 [n, k].

    Nearest first, ties by index; k = min(count, n - 1), so a lone example has none. A row of zeros has
    similarity 0 to all. Rows are processed in blocks of at most `block_cells` similarities, so memory grows
    with n, not n². Raises ValueError if a feature is NaN or infinite.
    """
    unit = torch.from_numpy(_unit_rows(features))
    total = len(unit)
    width = min(count, total - 1)
    indices = torch.empty((total, width), dtype=torch.int64)
    similarities = torch.empty((total, width), dtype=torch.float32)
    step = max(1, block_cells // max(1, total))
    for start in range(0, total if width else 0, step):
        rows = slice(start, min(start + step, total))
        block = unit[rows] @ unit.T
        block[torch.arange(len(block)), torch.arange(start, start + len(block))] = -torch.inf
        indices[rows], similarities[rows] = _top(block, width)
    return indices.numpy(), similarities.numpy()


def _top(block: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The indices and values of the `width` largest of each row, in order, ties by index."""
    values, indices = block.topk(width + 1, dim=1)
    chosen = indices[:, :width]
    # topk does not define which of several equal values it takes; rows with such ties take the slow path.
    tied = values[:, width - 1] == values[:, width]
    if tied.any():
        chosen[tied] = _lowest_of_equals(block[tied], values[tied, width - 1, None], width)
    by_index = chosen.sort(dim=1).values
    nearest_first, order = block.gather(1, by_index).sort(dim=1, descending=True, stable=True)
    return by_index.gather(1, order), nearest_first


def _lowest_of_equals(block: torch.Tensor, last: torch.Tensor, width: int) -> torch.Tensor:
    """Indices of the values above `last` in each row, then of the first that equal it, `width` in all."""
    above, level = block > last, block == last
    missing = width - above.sum(dim=1, keepdim=True)
    kept = above | (level & (level.cumsum(dim=1, dtype=torch.int32) <= missing))
    return kept.nonzero()[:, 1].reshape(len(block), width)


def _unit_rows(features: FloatArray) -> NDArray[np.float32]:
    values = finite_features(features)
    # Scaling by the largest entry first keeps squares within float32.
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0.0)
    scaled = values / np.where(largest > 0, largest, 1)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(norms > 0, norms, 1), dtype=np.float32)
