import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.findings.predictions import pack, unpack


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
