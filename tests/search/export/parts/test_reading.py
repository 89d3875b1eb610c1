import numpy as np
import pytest

from search.export.parts.reading import combined

ANSWERS = np.array([[0.0, 4.0], [1.0, -9.0], [5.0, 2.0], [2.0, 3.0]])


@pytest.mark.parametrize(
    ("aggregate", "left_out", "expected"),
    [("mean", 0, [2.0, 0.0]), ("median", 0, [1.5, 2.5]), ("trimmed", 1, [1.5, 2.5])],
)
def test_members_answer_together(aggregate: str, left_out: int, expected: list[float]) -> None:
    assert combined(ANSWERS, aggregate, left_out).tolist() == expected
