"""Predictions as text: one bit each. Apart from search.record, so that the grader need not import torch."""

import numpy as np

from search.pgr import Bools


def pack(predictions: Bools) -> str:
    """Predicted classes, bool [n], as hexadecimal bits: 250 characters for 1,000 examples."""
    return np.packbits(predictions).tobytes().hex()


def unpack(predictions: str, n: int) -> Bools:
    """The inverse of `pack` for n examples."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(predictions), dtype=np.uint8), count=n).astype(np.bool_)
