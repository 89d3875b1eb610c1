import pytest

from agents.findings.curves import points, shape


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ((), "no rung"),
        (((1.0, 0.5),), "one rung"),
        (((0.1, 0.2), (0.3, 0.22), (1.0, 0.21)), "flat"),
        (((0.1, 0.2), (0.3, 0.6), (1.0, 0.1)), "fell by 0.50 after its peak at 0.30"),
        (((0.1, 0.2), (0.3, 0.4), (1.0, 0.5)), "still rising by +0.10 in its last step"),
        (((0.1, 0.5), (1.0, 0.1)), "fell by 0.40 after its peak at 0.10"),
    ],
)
def test_a_curve_in_words(curve: tuple[tuple[float, float], ...], said: str) -> None:
    assert shape(curve) == said


def test_a_curve_in_numbers() -> None:
    assert points(((1 / 9, 0.2), (1.0, -0.456))) == "0.11: 0.20, 1.00: -0.46"
