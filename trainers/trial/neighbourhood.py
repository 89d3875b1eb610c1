"""The nearest neighbours of every transfer example, searched once for all trials of a campaign."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trainers.components.neighbours import nearest
from trainers.components.weak_labels import FloatArray, Nearest
from trainers.trial.model_data import Shared

WIDTHS = (20, 64, 200)  # neighbours that are searched for at once: the fewest that are enough


class SharedNeighbours:
    """Answers for any number of neighbours, from the widest search so far or from a new one.

    Holds 8 bytes a neighbour and example: at 100,000 examples 16 MB, or 160 MB after the widest search.
    """

    def __init__(self, features: Callable[[], FloatArray], shared: Shared) -> None:
        """features: [n, d]. shared: holds the searches, each computed by the first worker that needs it."""
        self._features = features
        self._shared = shared
        self._packed: NDArray[np.int32] | None = None
        self._width = 0

    def __call__(self, count: int) -> Nearest:
        """As `nearest` of the features gives them: int64, float32 [n, k], k = min(count, n - 1)."""
        if self._packed is None or self._width < count:
            width = next(width for width in (*WIDTHS, count) if width >= count)
            self._packed = self._shared(f"neighbours {width}", lambda: packed(self._features(), width))
            self._width = width
        found = self._packed.shape[1] // 2
        indices = self._packed[:, : min(count, found)].astype(np.int64)
        similarities = self._packed[:, found : found + indices.shape[1]].copy().view(np.float32)
        return indices, similarities


def packed(features: FloatArray, count: int) -> NDArray[np.int32]:
    """Indices, and behind them the bits of the similarities: [n, 2k], one array for the shared store."""
    indices, similarities = nearest(features, count)
    return np.concatenate([indices.astype(np.int32), similarities.view(np.int32)], axis=1)
