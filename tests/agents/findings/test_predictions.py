import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.findings.predictions import agreement, balance, pack, paired_se, unpack


def packed(*bits: int) -> str:
    return np.packbits(np.array(bits, dtype=bool)).tobytes().hex()


def test_balance_and_agreement_by_hand() -> None:
    first, second = packed(1, 1, 0, 0, 1, 0, 0, 0, 1, 0), packed(1, 0, 0, 0, 1, 1, 0, 0, 1, 0)
    assert balance(first, 10) == pytest.approx(0.4)
    assert agreement(first, second, 10) == pytest.approx(0.8)
    assert agreement(first, first, 10) == 1.0


def test_the_paired_error_needs_no_truth() -> None:
    """Against numpy on the correctness that a truth gives, for one and for several trials a side."""
    rng = np.random.default_rng(0)
    n = 203
    truth = rng.integers(0, 2, n)
    sides = [(rng.random((k, n)) < p) for k, p in ((3, 0.4), (2, 0.6))]
    correct = [(side == truth).mean(axis=0) for side in sides]
    paired = correct[0] - correct[1]
    texts = [[np.packbits(row).tobytes().hex() for row in side] for side in sides]
    expected = paired.std() / math.sqrt(n - 1)
    assert paired_se(texts[0], texts[1], float(paired.mean()), n) == pytest.approx(expected)


def test_equal_sides_differ_by_nothing() -> None:
    one = packed(1, 0, 1, 1)
    assert paired_se([one], [one], 0.0, 4) == 0.0


def test_predictions_are_eight_to_a_byte_first_bit_first() -> None:
    bits = np.array([1, 0, 0, 0, 0, 0, 0, 1, 1, 1], dtype=np.bool_)
    assert pack(bits) == "81c0"
    assert unpack("81c0", 10).tolist() == bits.tolist()


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_unpacking_undoes_packing(bits: list[bool]) -> None:
    unpacked = unpack(pack(np.array(bits)), len(bits))
    assert unpacked.dtype == np.bool_
    assert unpacked.tolist() == bits


def test_packing_is_compact() -> None:
    assert len(pack(np.ones(1000, dtype=np.bool_))) == 250
