"""Packed predictions, and what they show without ground truth: balance, agreement, error of a difference.

Packed predictions are classes as bits in hexadecimal, padded with zeros to whole bytes.
"""

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement, product
from statistics import fmean

import numpy as np
from numpy.typing import NDArray


def balance(packed: str, n: int) -> float:
    """Share of class 1 among n predictions."""
    return int(packed, 16).bit_count() / n


def agreement(first: str, second: str, n: int) -> float:
    """Share of n examples on which two packed predictions agree."""
    return 1 - (int(first, 16) ^ int(second, 16)).bit_count() / n


def paired_se(first: Sequence[str], second: Sequence[str], difference: float, n: int) -> float:
    """Standard error of the difference between two mean accuracies on the same n examples.

    first, second: packed predictions of the trials behind each mean. difference: of the mean accuracies.
    With two classes, two predictions differ exactly where one is right and the other wrong. So the mean
    square of the paired difference follows from predictions alone: the mean disagreement between the two
    sides minus half of that within each (Székely & Rizzo, 2013, for the identity).
    """
    across = fmean(1 - agreement(a, b, n) for a, b in product(first, second))
    square = across - _within(first, n) / 2 - _within(second, n) / 2
    return math.sqrt(max(0.0, square - difference**2) / max(1, n - 1))


def _within(side: Sequence[str], n: int) -> float:
    """Mean disagreement over all ordered pairs of one side, including each prediction with itself."""
    total = sum(
        (1 if a == b else 2) * (1 - agreement(side[a], side[b], n))
        for a, b in combinations_with_replacement(range(len(side)), 2)
    )
    return total / len(side) ** 2


def pack(predictions: NDArray[np.bool_]) -> str:
    """Pack predicted classes, bool [n]: 250 characters for 1,000 examples."""
    return np.packbits(predictions).tobytes().hex()


def unpack(predictions: str, n: int) -> NDArray[np.bool_]:
    """The inverse of `pack` for n examples."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(predictions), dtype=np.uint8), count=n).astype(np.bool_)
