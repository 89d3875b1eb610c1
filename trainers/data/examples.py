"""The inputs of a task, apart from its ground truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Frozen

SplitName = Literal["weak_train", "transfer", "search", "test"]
SPLITS: tuple[SplitName, ...] = ("weak_train", "transfer", "search", "test")
Labels = NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The inputs of one split: single texts, or prompts with two responses in the order shown.

    texts: n single texts, or n prompts where `pairs` is given.
    pairs: n (first, second) responses; class 1 means that the second is the better one.
    question: what a model is asked about each of them before it has learnt anything; None: the usual.
    """

    texts: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] | None = None
    question: str | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Four disjoint splits: inputs, and ground truth (int8 [n], 0 or 1) kept apart from them."""

    inputs: Mapping[SplitName, Examples]
    truth: Mapping[SplitName, Labels]


class SplitSizes(Frozen):
    """How many examples each of the four splits holds."""

    weak_train: Annotated[int, Field(ge=1, description="examples that train the weak supervisor")]
    transfer: Annotated[int, Field(ge=1, description="examples that students see with weak labels")]
    search: Annotated[int, Field(ge=1, description="examples that choose and prune methods")]
    test: Annotated[int, Field(ge=1, description="examples opened once, at confirmation")]
