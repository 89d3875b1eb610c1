import pytest

from trainers.components.optim import Adamw, lr_factor

PROGRESS = (0.0, 0.1, 0.2, 0.4, 0.6, 1.0)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", (0, 0.5, 1, 1, 1, 1)),
        ("linear", (0, 0.5, 1, 0.75, 0.5, 0)),
        ("cosine", (0, 0.5, 1, 0.8535534, 0.5, 0)),  # (1 + cos(π/4)) / 2 a quarter of the way down
    ],
)
def test_the_learning_rate_rises_over_the_warm_up_and_falls_by_its_schedule(
    schedule: str, expected: tuple[float, ...]
) -> None:
    optim = Adamw.model_validate({"schedule": schedule, "warmup": 0.2})
    assert [lr_factor(optim, progress) for progress in PROGRESS] == pytest.approx(expected)


def test_without_a_warm_up_the_peak_comes_first() -> None:
    assert lr_factor(Adamw(warmup=0), 0.0) == 1.0
