"""Texts as bags of tokens, weighted by how rare each token is."""

import numpy as np
import torch

from trainers.data.tokens import Tokens


class TfIdf:
    """Which tokens a text has, weighted by their rarity; each text is then a vector of length one.

    Only the tokens of the texts that it was made from count: a text without any of them is zero. The weight
    of a token is log((1 + n) / (1 + df)) + 1, where df of the n texts have it (Spärck Jones 1972; smoothed).
    """

    def __init__(self, tokens: Tokens) -> None:
        """tokens: of the texts that decide which tokens count, and how much."""
        self._ids = np.unique(tokens.ids)
        frequencies = self._present(tokens).sum(axis=0)
        self._weights = (np.log((1 + len(tokens)) / (1 + frequencies)) + 1).astype(np.float32)

    @property
    def size(self) -> int:
        """How many tokens count."""
        return len(self._ids)

    def vectors(self, tokens: Tokens) -> torch.Tensor:
        """Float32 [n, size], dense: meant for the few tokens that some hundred texts have."""
        weighted = self._present(tokens) * self._weights
        lengths = np.linalg.norm(weighted, axis=1, keepdims=True)
        return torch.from_numpy(weighted / np.where(lengths > 0, lengths, np.float32(1)))

    def _present(self, tokens: Tokens) -> np.ndarray:
        columns = np.minimum(np.searchsorted(self._ids, tokens.ids), self.size - 1)
        counts = self._ids[columns] == tokens.ids
        rows = np.repeat(np.arange(len(tokens)), tokens.lengths)
        present = np.zeros((len(tokens), self.size), dtype=np.float32)
        present[rows[counts], columns[counts]] = 1
        return present
