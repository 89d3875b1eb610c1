import pytest

from benchmarks.training.models import chat_lengths


def test_chat_lengths_are_like_those_of_the_data() -> None:
    lengths = chat_lengths(6826)
    assert lengths.mean() == pytest.approx(123, abs=3)
    assert 16 <= lengths.min() < lengths.max() <= 1024
