"""The inputs of a task, separate from its ground truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SplitName = Literal["weak_train", "transfer", "search", "test"]
SPLITS: tuple[SplitName, ...] = ("weak_train", "transfer", "search", "test")
Labels = NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The inputs of a split: single texts, or prompts with two responses in the order shown.

    texts: n single texts, or n prompts if `pairs` is given.
    pairs: n (first, second) responses; class 1 means that the second is better.
    question: the question for a model's zero-shot answer; None: the template's.
    """

    texts: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] | None = None
    question: str | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Four disjoint splits: inputs, and ground truth (int8 [n], 0 or 1) kept apart from them.

    files: the SHA-256 of the bytes of every local file that the examples were read from, by its path.
    """

    inputs: Mapping[SplitName, Examples]
    truth: Mapping[SplitName, Labels]
    files: Mapping[str, str] = field(default_factory=dict)
