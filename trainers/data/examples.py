"""The inputs of a task, separate from its ground truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.data.counts import DataCounts

SplitName = Literal["weak_train", "transfer", "search", "test"]
SPLITS: tuple[SplitName, ...] = ("weak_train", "transfer", "search", "test")
Labels = NDArray[np.int8]
Turns = tuple[tuple[str, str], ...]  # (role, content)


@dataclass(frozen=True, kw_only=True)
class Chat:
    """The turns that both responses share, and what each adds; a single text has shared turns only."""

    shared: Turns
    first: Turns = ()
    second: Turns = ()

    def exchanged(self) -> "Chat":
        """The same with its responses in the other order."""
        return Chat(shared=self.shared, first=self.second, second=self.first)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The inputs of a split: single texts, or prompts with two responses in the order shown.

    texts: n single texts, or n prompts if `pairs` is given.
    pairs: n (first, second) responses; class 1 means that the second is better.
    chats: the same as messages, for a model with a chat template; texts and pairs are their plain form.
    question: the question for a model's zero-shot answer; None: the template's.
    """

    texts: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] | None = None
    chats: tuple[Chat, ...] | None = None
    question: str | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def exchanged(self, which: NDArray[np.bool_] | None = None) -> "Examples":
        """The same with the responses of these pairs, or of all, in the other order."""
        swap = np.ones(len(self), dtype=bool) if which is None else which
        pairs = zip(self.pairs or (), swap, strict=True)
        chats = self.chats and tuple(
            chat.exchanged() if swapped else chat for chat, swapped in zip(self.chats, swap, strict=True)
        )
        exchanged = tuple((b, a) if swapped else (a, b) for (a, b), swapped in pairs)
        return replace(self, pairs=exchanged, chats=chats)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Four disjoint splits: inputs, and ground truth (int8 [n], 0 or 1) kept apart from them.

    files: the SHA-256 of the bytes of every local file that the examples were read from, by its path.
    counts: what became of the rows that were read.
    """

    inputs: Mapping[SplitName, Examples]
    truth: Mapping[SplitName, Labels]
    files: Mapping[str, str] = field(default_factory=dict)
    counts: DataCounts = field(default_factory=DataCounts)
