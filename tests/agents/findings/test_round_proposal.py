from collections.abc import Callable
from math import log2

import pytest
from pydantic import ValidationError

from agents.findings.round_proposal import Note, entropy_bits, family_shares
from agents.language.proposal import Branch


def test_shares_of_families_and_their_entropy(branch: Callable[..., Branch]) -> None:
    proposed = [branch("a"), branch("b"), branch("c", family="ensemble"), branch("d", family="filtering")]
    shares = family_shares(proposed)
    assert shares == {"loss": 0.5, "ensemble": 0.25, "filtering": 0.25}
    assert entropy_bits(list(shares.values())) == pytest.approx(1.5)
    assert entropy_bits([1.0]) == 0.0
    assert entropy_bits([1 / 11] * 11) == pytest.approx(log2(11))
    assert family_shares([]) == {}


def test_a_note_cannot_move_the_cursor() -> None:
    assert Note(round=1, lane="1", text="a\x1b[2Jb\u202ec\nd").text == "a?[2Jb?c d"
    with pytest.raises(ValidationError):
        Note(round=1, lane="1", text="x" * 601)
