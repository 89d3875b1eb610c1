import pytest

from benchmarks.training.gang import cases, parity


# Every process imports torch and DeepSpeed first: seconds on a quiet machine, minutes on a busy one.
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_gang_of_two_computes_what_one_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    tried = [case for case in cases(quick=False) if case["loss"] == "logconf" or case["micro_batch"]]
    # Layers that ZeRO 3 splits are never compiled. One padded length: each takes a compiler half a minute.
    compiled = {"loss": "logconf", "micro_batch": 3, "compile": "on", "bucket": (9, 16)}
    tried += [{"zero_stage": stage, **compiled} for stage in range(3)]
    rows = parity(2, tried)
    stages = [stage for stage in range(4) for _ in range(3)]
    assert [row["zero_stage"] for row in rows] == [*stages, *range(3)]
    for row in rows:
        assert row["largest_difference"] < 1e-5, row
        assert row["last_loss"] < 0.97 * row["first_loss"], row
