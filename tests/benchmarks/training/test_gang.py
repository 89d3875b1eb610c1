import pytest

from benchmarks.training.gang import cases, parity


# Every process imports torch and DeepSpeed first: seconds on a quiet machine, minutes on a busy one.
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_gang_of_two_computes_what_one_process_does() -> None:
    compiled = [
        {"zero_stage": stage, "loss": "logconf", "micro_batch": 3, "compile": "on"} for stage in range(4)
    ]
    rows = parity(2, cases(quick=False) + compiled)
    stages = [stage for stage in range(4) for _ in range(4)]
    assert [row["zero_stage"] for row in rows] == [*stages, *range(4)]
    for row in rows:
        assert row["largest_difference"] < 1e-5, row
        assert row["last_loss"] < 0.97 * row["first_loss"], row
